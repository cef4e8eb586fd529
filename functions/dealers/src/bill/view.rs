//! What callers see of bills.

use chrono::{DateTime, NaiveDate, Utc};
use domain::dealers::{CURRENCY, calendar};
use domain::ids::{BillId, BillingPaymentId, DealId};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{Bill, PaidPart, Totals};

/// A bill.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BillView {
    /// Id of the bill.
    #[schema(value_type = i64, minimum = 1)]
    pub bill_id: BillId,
    /// The account that it is put on: `COMMISSION` or `SETTLEMENT`.
    #[schema(examples("COMMISSION"))]
    pub account_type: &'static str,
    /// `GET_REWARD` or `GET_SETTLEMENT`.
    #[schema(examples("GET_REWARD"))]
    pub operation: &'static str,
    /// The deal that it is for.
    #[schema(value_type = String)]
    pub deal_id: DealId,
    /// The price of the deal that the commission was made from, in kopecks; null for `GET_SETTLEMENT`.
    pub deal_price: Option<i64>,
    /// The commission rate of then; null for `GET_SETTLEMENT`.
    #[schema(value_type = Option<String>)]
    pub commission_rate: Option<Decimal>,
    /// What is to be paid, in kopecks.
    #[schema(minimum = 1)]
    pub common_sum: i64,
    /// What is paid so far, in kopecks.
    #[schema(minimum = 0)]
    pub paid_sum: i64,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    pub currency: &'static str,
    /// `created`, `issued`, `partially_paid`, `paid` or `voided`.
    #[schema(examples("issued"))]
    pub status: &'static str,
    /// The last date (Moscow) on which it is paid in time.
    pub due_date: NaiveDate,
    /// Whether that date is over and something is still to be paid.
    pub is_overdue: bool,
    /// Its PDF; null until Billing has made it.
    pub url: Option<String>,
    /// Why it was taken back.
    pub void_reason: Option<String>,
    /// When it was written down (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// When the last of it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub voided_at: Option<DateTime<Utc>>,
}

/// A bill with the payments that paid it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BillWithPaymentsView {
    /// The bill.
    #[serde(flatten)]
    pub bill: BillView,
    /// What paid it, in that order.
    pub payments: Vec<PaidPartView>,
}

/// A part of a bill that is paid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaidPartView {
    /// Billing's id of the payment.
    #[schema(value_type = String)]
    pub payment_id: BillingPaymentId,
    /// How much of it paid this bill, in kopecks.
    #[schema(minimum = 1)]
    pub amount: i64,
    /// When the payment came (RFC 3339, UTC).
    pub paid_at: DateTime<Utc>,
}

/// A page of a dealer's bills.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BillsView {
    /// The bills, oldest first: the order in which payments pay them.
    pub items: Vec<BillView>,
    /// Leads to the next page; null on the last.
    pub next_cursor: Option<String>,
    /// Sums over all of the dealer's bills that weren't voided.
    pub totals: BillTotalsView,
}

/// Sums over bills.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BillTotalsView {
    /// What was billed, in kopecks.
    pub billed: i64,
    /// What of it is paid, in kopecks.
    pub paid: i64,
    /// What is left to pay, in kopecks.
    pub owed: i64,
    /// What of that is overdue, in kopecks.
    pub overdue: i64,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    pub currency: &'static str,
}

impl BillView {
    pub(super) fn new(bill: &Bill, now: DateTime<Utc>) -> Self {
        Self {
            bill_id: bill.id,
            account_type: bill.account_type.name(),
            operation: bill.operation.name(),
            deal_id: bill.deal_id.clone(),
            deal_price: bill.deal_price,
            commission_rate: bill.commission_rate,
            common_sum: bill.common_sum,
            paid_sum: bill.paid_sum,
            currency: CURRENCY.code(),
            status: bill.status.name(),
            due_date: calendar::last_date(bill.due_at),
            is_overdue: bill.status.is_open() && bill.due_at <= now,
            url: bill.url.clone(),
            void_reason: bill.void_reason.clone(),
            created_at: bill.created_at,
            paid_at: bill.paid_at,
            voided_at: bill.voided_at,
        }
    }
}

impl From<PaidPart> for PaidPartView {
    fn from(part: PaidPart) -> Self {
        Self {
            payment_id: part.payment_id,
            amount: part.amount,
            paid_at: part.paid_at,
        }
    }
}

impl From<Totals> for BillTotalsView {
    fn from(totals: Totals) -> Self {
        Self {
            billed: totals.billed,
            paid: totals.paid,
            owed: totals.owed,
            overdue: totals.overdue,
            currency: CURRENCY.code(),
        }
    }
}
