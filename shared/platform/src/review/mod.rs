//! Reviews: what an area can't decide waits for a person, in one place for all areas.
//!
//! - The area [`open`]s a review in the transaction that parks. While one of the same area, kind and subject waits, that is
//!   counted (`seen`) instead; after it was closed, the next is a new one. What settles by itself is [`settle`]d.
//! - An operator decides it (`decide_review`), and the [`Decision`] goes to the queue `AREA-review-decisions`.
//! - The area's function `apply_AREA_review` is [`serve`] of its [`Reviewer`]: it applies the decision through the area's
//!   own transition, in one transaction with the review's end; or the review is open again, with the reason.
//!
//! Locks: the area's before the review's, both when a review is opened and when a decision is applied.

mod apply;
mod store;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, ProfileId, ReviewId, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;

use crate::error::PlatformError;
use crate::messaging::event::Envelope;
use crate::messaging::outbox;
use crate::observability::metrics;
pub use apply::{Reviewer, Verdict, serve};

/// The type of the message that brings a decision to its area.
const REVIEW_DECIDED: &str = "review.decided";

/// Whom a review is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject {
    profile: Option<ProfileId>,
    client: Option<ClientId>,
    user: Option<UserId>,
    dealer: Option<i64>,
}

impl Subject {
    /// Nobody in particular.
    pub const NOBODY: Self = Self {
        profile: None,
        client: None,
        user: None,
        dealer: None,
    };

    /// A profile of the app.
    pub fn profile(profile: ProfileId) -> Self {
        Self {
            profile: Some(profile),
            ..Self::NOBODY
        }
    }

    /// A client with wallets.
    pub fn client(client: ClientId) -> Self {
        Self {
            client: Some(client),
            ..Self::NOBODY
        }
    }

    /// A trader of funded accounts.
    pub fn user(user: UserId) -> Self {
        Self {
            user: Some(user),
            ..Self::NOBODY
        }
    }

    /// A dealer.
    pub fn dealer(dealer: impl Into<i64>) -> Self {
        Self {
            dealer: Some(dealer.into()),
            ..Self::NOBODY
        }
    }
}

/// What an operator may decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name, kebab-case: `charge-again`.
    pub action: Cow<'static, str>,
    /// What it does, as an operator reads it.
    pub means: Cow<'static, str>,
    /// The parameters that it takes.
    pub parameters: Cow<'static, [Parameter]>,
}

/// A parameter of an action. Each is a text or a whole number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, snake_case.
    pub name: Cow<'static, str>,
    /// What it is.
    pub means: Cow<'static, str>,
}

impl Action {
    /// An action without parameters.
    pub const fn new(action: &'static str, means: &'static str) -> Self {
        Self::with(action, means, &[])
    }

    /// An action with parameters.
    pub const fn with(action: &'static str, means: &'static str, parameters: &'static [Parameter]) -> Self {
        Self {
            action: Cow::Borrowed(action),
            means: Cow::Borrowed(means),
            parameters: Cow::Borrowed(parameters),
        }
    }
}

impl Parameter {
    /// A parameter.
    pub const fn new(name: &'static str, means: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            means: Cow::Borrowed(means),
        }
    }
}

/// What both sides say, side by side. No secrets: it is stored and shown as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Our record.
    pub ours: Value,
    /// The other side's; null where it said nothing.
    pub theirs: Value,
}

/// Something that waits for a person.
#[derive(Debug, Clone)]
pub struct NewReview {
    /// The area that opens it and applies what is decided, as its decisions' queue names it: `commissions`.
    pub area: &'static str,
    /// The kind of the question, kebab-case: `charge-outcome-unknown`.
    pub kind: &'static str,
    /// What it is about; with area and kind unique while it waits: `charge-17`.
    pub subject: String,
    /// Whom it is about.
    pub about: Subject,
    /// One sentence for the list.
    pub summary: String,
    /// What both sides say.
    pub evidence: Evidence,
    /// What may be decided; one at least.
    pub actions: &'static [Action],
}

/// Opens a review, in the transaction that parks what it is about.
///
/// # Errors
/// When the evidence can't be written as JSON or the database fails.
pub async fn open(
    connection: &mut PgConnection,
    review: NewReview,
    now: DateTime<Utc>,
) -> Result<(), PlatformError> {
    open_all(connection, &[review], now).await
}

/// Opens many reviews in one statement; no two of them have the same area, kind and subject.
///
/// # Errors
/// When evidence can't be written as JSON or the database fails.
pub async fn open_all(
    connection: &mut PgConnection,
    reviews: &[NewReview],
    now: DateTime<Utc>,
) -> Result<(), PlatformError> {
    if reviews.is_empty() {
        return Ok(());
    }
    for new in store::open_all(connection, reviews, now).await? {
        tracing::warn!(review_id = %new.id, area = new.area, kind = new.kind, "opening a review");
        metrics::count_with("ReviewsOpened", 1, &[("area", &new.area), ("kind", &new.kind)]);
    }
    Ok(())
}

/// Closes the open review of this area, kind and subject, because nothing is left to decide; `false` when there is none. One
/// that is decided already is left to its decision.
///
/// # Errors
/// When the database fails.
pub async fn settle(
    connection: &mut PgConnection,
    area: &str,
    kind: &str,
    subject: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool, PlatformError> {
    store::settle(connection, area, kind, subject, reason, now).await
}

/// What an operator has decided, on its way to the area.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The review.
    pub review_id: ReviewId,
    /// Its number among the review's decisions.
    pub number: i32,
    /// The kind of the review.
    pub kind: String,
    /// What the review is about.
    pub subject: String,
    /// One of the review's actions.
    pub action: String,
    /// The action's parameters.
    pub parameters: Map<String, Value>,
    /// Why.
    pub reason: String,
    /// The operator.
    pub decided_by: String,
    /// When.
    pub decided_at: DateTime<Utc>,
}

impl Decision {
    /// A parameter; nothing when it is missing or isn't a `T`.
    pub fn parameter<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.parameters.get(name)?;
        serde_json::from_value(value.clone()).ok()
    }

    /// What the review is about, where the area names it by a word and an id: `charge-17`.
    pub fn subject_id<T: TryFrom<i64>>(&self, word: &str) -> Option<T> {
        let id = self.subject.strip_prefix(word)?.strip_prefix('-')?;
        T::try_from(id.parse().ok()?).ok()
    }
}

/// Sends a decision to its area, in the transaction that records it.
///
/// # Errors
/// When the database fails.
pub async fn send(
    connection: &mut PgConnection,
    area: &str,
    decision: &Decision,
) -> Result<(), PlatformError> {
    let key = format!("review-{}", decision.review_id);
    let event = Envelope::new(REVIEW_DECIDED, key, decision.decided_at, decision);
    outbox::publish_to_queue(connection, &event, &format!("{area}-review-decisions")).await
}

#[cfg(test)]
mod tests {
    use domain::ids::ChargeId;
    use serde_json::json;

    use super::*;

    fn decision(subject: &str, parameters: Value) -> Decision {
        serde_json::from_value(json!({
            "review_id": 1, "number": 1, "kind": "k", "subject": subject, "action": "a", "parameters": parameters,
            "reason": "r", "decided_by": "o", "decided_at": "2026-11-28T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn subject_of_a_decision_is_read_as_the_area_wrote_it() {
        let of = |subject: &str| decision(subject, json!({})).subject_id::<ChargeId>("charge");
        assert_eq!(of("charge-17").map(|id| id.get()), Some(17));
        for other in ["charge-", "charge-0", "invoice-17", "charge17", "charge-17-1"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn parameter_of_another_type_is_none() {
        let decision = decision("charge-1", json!({"payment": "pi_1", "amount_cents": 5}));
        assert_eq!(decision.parameter::<String>("payment").as_deref(), Some("pi_1"));
        assert_eq!(decision.parameter::<i64>("amount_cents"), Some(5));
        assert_eq!(decision.parameter::<i64>("payment"), None);
        assert_eq!(decision.parameter::<i64>("missing"), None);
    }
}
