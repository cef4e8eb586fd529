//! The request for a withdrawal.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much a trader wants of his share.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalRequest {
    /// In cents of USD, at least 10000.
    #[schema(minimum = 10000)]
    pub amount_cents: i64,
}
