//! The report of a run of `create_invoices`.

use chrono::NaiveDate;
use serde::Serialize;

/// The invoices of a run.
#[derive(Debug, Serialize)]
pub struct InvoicingReport {
    /// The months of the run, the latest first.
    pub periods: Vec<PeriodReport>,
}

/// A month in the report of a run.
#[derive(Debug, Serialize)]
pub struct PeriodReport {
    /// The first day.
    pub period_start: NaiveDate,
    /// The last day.
    pub period_end: NaiveDate,
    /// Accounts without an invoice of the month.
    pub accounts: i64,
    /// Invoices created for them.
    pub created: i64,
    /// Accounts that cost nothing.
    pub free: i64,
    /// Accounts that can't be invoiced, because no balance of the month is known.
    pub without_balances: i64,
    /// Commissions too small to be charged, which wait for the next month.
    pub carried_over: i64,
    /// The sum of the invoices, in cents.
    pub total_cents: i64,
}
