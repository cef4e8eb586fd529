//! The request for a rejection.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::Error;

const MAX_REASON_LENGTH: usize = 500;

/// Why a withdrawal is rejected.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectionRequest {
    /// Why, in 1 to 500 characters: the trader sees it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl RejectionRequest {
    /// The reason, without space around it.
    pub(super) fn reason(&self) -> Result<&str, Error> {
        let reason = self.reason.trim();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_LENGTH {
            let message = format!("has to have 1 to {MAX_REASON_LENGTH} characters");
            return Err(Error::Invalid {
                field: "reason",
                message,
            });
        }
        Ok(reason)
    }
}
