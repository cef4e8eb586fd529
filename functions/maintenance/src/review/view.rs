//! Reviews as operators see them.

use chrono::{DateTime, Utc};
use domain::ids::ReviewId;
use domain::review::ReviewState;
use platform::review::{Action, Evidence};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Something that waits, or waited, for a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReviewView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: ReviewId,
    /// The area that opened it and applies what is decided.
    #[schema(examples("commissions"))]
    pub area: String,
    /// The kind of the question.
    #[schema(examples("invoice-uncollectible"))]
    pub kind: String,
    /// What it is about.
    #[schema(examples("invoice-17"))]
    pub subject: String,
    /// The profile it is about.
    #[schema(minimum = 1)]
    pub profile_id: Option<i64>,
    /// The client with wallets it is about.
    #[schema(minimum = 1)]
    pub client_id: Option<i64>,
    /// The trader it is about.
    #[schema(minimum = 1)]
    pub user_id: Option<i64>,
    /// The dealer it is about.
    #[schema(minimum = 1)]
    pub dealer_id: Option<i64>,
    /// One sentence.
    pub summary: String,
    /// How often the area met the same while it waited.
    #[schema(minimum = 1)]
    pub seen: i32,
    /// `open`: waits for a person. `decided`: the area hasn't applied the decision yet. `applied`: it has, or it settled by
    /// itself. `refused`: the decision came after it was settled otherwise.
    #[schema(value_type = String, examples("open"))]
    pub state: ReviewState,
    /// When it was opened (RFC 3339, UTC).
    pub opened_at: DateTime<Utc>,
    /// When the area last met it (RFC 3339, UTC).
    pub last_seen_at: DateTime<Utc>,
    /// When it was last decided (RFC 3339, UTC).
    pub decided_at: Option<DateTime<Utc>>,
    /// By whom: the token's subject.
    pub decided_by: Option<String>,
    /// The action that was chosen.
    pub decision: Option<String>,
    /// Why it was chosen.
    pub reason: Option<String>,
    /// Why the area did not apply it.
    pub refusal: Option<String>,
    /// When it was closed (RFC 3339, UTC).
    pub closed_at: Option<DateTime<Utc>>,
}

/// What may be decided.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActionView {
    /// Its name.
    #[schema(examples("void-invoice"))]
    pub action: String,
    /// What it does.
    pub means: String,
    /// The parameters that it needs, all of them.
    pub parameters: Vec<ParameterView>,
}

/// A parameter of an action.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ParameterView {
    /// Its name.
    pub name: String,
    /// What it is.
    pub means: String,
}

/// What happened to a review.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryView {
    /// When (RFC 3339, UTC).
    pub at: DateTime<Utc>,
    /// `opened`, `decided`, `applied`, `refused`, `opened-again` or `settled`.
    pub event: String,
    /// The operator, where it was one.
    pub actor: Option<String>,
    /// The action that was chosen.
    pub action: Option<String>,
    /// Its parameters.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Why.
    pub reason: Option<String>,
}

/// A review with everything that is needed to decide it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReviewDetailView {
    /// The review.
    #[serde(flatten)]
    pub review: ReviewView,
    /// Our record of it.
    #[schema(value_type = Object)]
    pub ours: Value,
    /// What the other side says; null where it said nothing.
    #[schema(value_type = Option<Object>)]
    pub theirs: Value,
    /// What may be decided.
    pub actions: Vec<ActionView>,
    /// The parameters of the last decision.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Map<String, Value>>,
    /// What has happened to it, in its order.
    pub history: Vec<HistoryView>,
}

/// What is shown of a review by itself.
#[derive(Debug, Clone)]
pub(super) struct Detail {
    pub(super) evidence: Evidence,
    pub(super) actions: Vec<Action>,
    pub(super) parameters: Option<Map<String, Value>>,
}

impl ReviewDetailView {
    pub(super) fn new(review: ReviewView, detail: Detail, history: Vec<HistoryView>) -> Self {
        Self {
            review,
            ours: detail.evidence.ours,
            theirs: detail.evidence.theirs,
            actions: detail.actions.into_iter().map(ActionView::from).collect(),
            parameters: detail.parameters,
            history,
        }
    }
}

impl From<Action> for ActionView {
    fn from(action: Action) -> Self {
        let parameters = action.parameters.iter().map(|parameter| ParameterView {
            name: parameter.name.to_string(),
            means: parameter.means.to_string(),
        });
        Self {
            action: action.action.to_string(),
            means: action.means.to_string(),
            parameters: parameters.collect(),
        }
    }
}

/// How reviews stand, as the job that watches them reports it.
#[derive(Debug, Serialize)]
pub struct ReviewReport {
    /// Reviews that wait for a person.
    pub open: i64,
    /// Since when the oldest decision waits for its area.
    pub oldest_decision_at: Option<DateTime<Utc>>,
}
