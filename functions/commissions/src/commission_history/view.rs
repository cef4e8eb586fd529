//! Paid commissions as callers see them.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{ChargeId, InvoiceId};
use serde::Serialize;
use utoipa::ToSchema;

/// A commission that was paid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaidCommissionView {
    /// The charge, by which pages continue.
    #[serde(skip)]
    pub(super) charge_id: ChargeId,
    /// The invoice.
    #[schema(value_type = i64, minimum = 1)]
    pub invoice_id: InvoiceId,
    /// What was paid, in minor units.
    #[schema(minimum = 1)]
    pub amount_cents: i64,
    /// What was refunded of it since, in minor units.
    #[schema(minimum = 0)]
    pub refunded_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// First day of the period.
    pub period_start: NaiveDate,
    /// Last day of the period.
    pub period_end: NaiveDate,
    /// The payment method that was charged.
    #[schema(examples("visa •••• 4242, 04/29"))]
    pub payment_method: String,
    /// When it was charged (RFC 3339, UTC).
    pub charged_at: DateTime<Utc>,
}

/// The commissions of a year.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct YearTotalView {
    /// The calendar year in New York.
    pub year: i32,
    /// What was paid in it, in minor units.
    pub amount_cents: i64,
    /// What was refunded of it since, in minor units.
    pub refunded_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

/// A page of the commissions that were paid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CommissionHistoryView {
    /// The newest first.
    pub items: Vec<PaidCommissionView>,
    /// Leads to the next page; null on the last.
    pub next_cursor: Option<String>,
    /// All that was ever paid, by year, the latest first.
    pub totals: Vec<YearTotalView>,
}
