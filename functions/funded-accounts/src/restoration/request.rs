//! The request for opening an account again.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::Error;

const MAX_REASON_LENGTH: usize = 500;
const MAX_SEQUENCES: usize = 100;

/// Why an account is opened again, and without which snapshots.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestorationRequest {
    /// Why, in 1 to 500 characters: it is kept with the evidence of the breach.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    /// Numbers of the wrong snapshots in the breach's epoch; the one that closed the account unless given. A tick that was too
    /// high closes the account at a later snapshot, which was right.
    #[schema(max_items = 100)]
    pub sequences: Option<Vec<i64>>,
}

/// A request that can be carried out.
#[derive(Debug)]
pub(super) struct Restoration {
    pub(super) reason: String,
    pub(super) sequences: Vec<i64>,
}

impl RestorationRequest {
    pub(super) fn check(self) -> Result<Restoration, Error> {
        let reason = self.reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_LENGTH {
            let message = format!("has to have 1 to {MAX_REASON_LENGTH} characters");
            return Err(Error::Invalid {
                field: "reason",
                message,
            });
        }
        let sequences = self.sequences.unwrap_or_default();
        if sequences.len() > MAX_SEQUENCES {
            let message = format!("may have at most {MAX_SEQUENCES} numbers");
            return Err(Error::Invalid {
                field: "sequences",
                message,
            });
        }
        Ok(Restoration { reason, sequences })
    }
}
