//! The request for a withdrawal.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;

/// How much a trader wants of his share.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalRequest {
    /// In cents of USD, at least 10000.
    #[schema(minimum = 10000)]
    pub amount_cents: i64,
}

/// More than any account has: ten billion dollars.
const MAX_AMOUNT_CENTS: i64 = 1_000_000_000_000;

impl WithdrawalRequest {
    /// The amount, if it can be one at all; whether it is allowed depends on the account.
    ///
    /// # Errors
    /// When it isn't above zero, or is more than any account has.
    pub(super) fn amount_cents(&self) -> Result<i64, Error> {
        if (1..=MAX_AMOUNT_CENTS).contains(&self.amount_cents) {
            return Ok(self.amount_cents);
        }
        Err(Error::Invalid {
            field: "amount_cents",
            message: format!("has to be between 1 and {MAX_AMOUNT_CENTS}"),
        })
    }
}
