//! What callers see of the check.

use chrono::{DateTime, Utc};
use domain::trading::kyc::verdict::{self, Remedy};
use serde::Serialize;
use utoipa::ToSchema;

use super::current::Current;

/// The state of an identity check.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KycStatusView {
    /// `not_ready`, `ready`, `processing`, `approved`, `info_required`, `doc_required`, `manual_review` or `denied`.
    pub status: String,
    /// What it says to the person.
    pub message: String,
    /// Whether the form can be submitted now.
    pub may_be_submitted: bool,
    /// What the check has found.
    pub errors: Vec<KycErrorView>,
    /// The documents that were sent, newest first.
    pub documents: Vec<KycDocumentView>,
    /// When the check came into the state (RFC 3339, UTC); null before it begins.
    pub updated_at: Option<DateTime<Utc>>,
}

/// Something that the check has found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KycErrorView {
    /// Its code.
    pub code: String,
    /// What it means.
    pub message: String,
    /// What to do: `correct` the fields and submit the form again, `upload` a document, or talk to `support`.
    pub remedy: &'static str,
    /// The form's fields to correct.
    pub fields: Vec<&'static str>,
}

/// A document that was sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KycDocumentView {
    /// Its id.
    #[schema(minimum = 1)]
    pub id: i64,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which side.
    pub side: String,
    /// The broker's verdict: `NOT_SUBMITTED` while it isn't known to have it, `PENDING`, `APPROVED`, `REJECTED`.
    pub status: String,
    /// When it was sent (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

impl KycStatusView {
    pub(super) fn new(current: &Current, documents: Vec<KycDocumentView>) -> Self {
        let status = current.status();
        let newest = current.newest.as_ref().map(|(_, report)| report);
        // What an earlier check has found is no news while another one is under way.
        let errors = newest.filter(|_| current.under_way_since.is_none());
        let errors = errors.map(|report| report.errors.as_slice()).unwrap_or_default();
        Self {
            status: status.to_string(),
            message: status.message().to_owned(),
            may_be_submitted: status.may_be_submitted(),
            errors: errors.iter().map(|name| KycErrorView::of(name)).collect(),
            documents,
            updated_at: current
                .under_way_since
                .or_else(|| newest.map(|report| report.as_of)),
        }
    }
}

impl KycErrorView {
    fn of(name: &str) -> Self {
        let known = verdict::by_name(name).or_else(|| verdict::by_name(verdict::UNKNOWN));
        let (message, remedy) = known.map_or(("", Remedy::Support), |known| (known.message, known.remedy));
        let (remedy, fields) = match remedy {
            Remedy::Correct(fields) => ("correct", fields.to_vec()),
            Remedy::Upload => ("upload", Vec::new()),
            Remedy::Support => ("support", Vec::new()),
        };
        Self {
            code: name.to_owned(),
            message: message.to_owned(),
            remedy,
            fields,
        }
    }
}
