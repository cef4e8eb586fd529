//! How an invoice's amount was calculated: stored with the invoice, and shown to callers as it is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an invoice's amount was calculated: average equity × yearly rate, at least the minimum, × days ÷ 365. Stored with
/// the invoice when it is created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CalculationView {
    /// Average of the daily equity, in minor units.
    pub average_equity_cents: Option<i64>,
    /// Days that are charged.
    pub billable_days: Option<u32>,
    /// Days of them whose equity is known; the others have that of the day before.
    pub days_with_balance: Option<u32>,
    /// What a whole year costs, in minor units.
    pub yearly_commission_cents: Option<i64>,
    /// What earlier months were too small to be charged for, in minor units; it is in the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carried_over_cents: Option<i64>,
    /// The yearly rate, a decimal.
    #[schema(examples("0.0096"))]
    pub yearly_rate: Option<String>,
}
