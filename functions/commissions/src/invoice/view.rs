//! Invoices as callers see them.

use chrono::{DateTime, NaiveDate, Utc};
use domain::commissions::charge::ChargeStatus;
use domain::commissions::decline;
use domain::commissions::invoice::InvoiceStatus;
use domain::ids::InvoiceId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::calculation::CalculationView;
use super::store::{ChargeRecord, Invoice};

/// An invoice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InvoiceView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: InvoiceId,
    /// Its amount, in minor units.
    #[schema(minimum = 1)]
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// `uncollectible` is still owed, after all retries failed.
    #[schema(schema_with = invoice_status_schema)]
    pub status: InvoiceStatus,
    /// What it is for.
    pub description: String,
    /// First day of the period.
    pub period_start: NaiveDate,
    /// Last day of the period.
    pub period_end: NaiveDate,
    /// From when on it is charged, the first moment of a day in New York (RFC 3339, UTC).
    pub due_date: DateTime<Utc>,
    /// From when on a declined charge is tried again by itself, the first moment of a day in New York (RFC 3339, UTC); null
    /// when it isn't.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was paid (RFC 3339, UTC); null while it isn't.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was created (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// How the amount was calculated.
    pub calculation: CalculationView,
    /// Attempts to charge it, in their order.
    pub attempts: Vec<AttemptView>,
    /// With it the app lets the customer confirm a charge that waits for it; null when none does, and in lists.
    pub confirmation: Option<ConfirmationView>,
}

/// An attempt to charge an invoice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    #[schema(minimum = 1)]
    pub attempt: i32,
    /// `unknown`, `processing` and `requires_action` are in flight.
    #[schema(schema_with = attempt_status_schema)]
    pub status: ChargeStatus,
    /// The payment method that was charged.
    #[schema(examples("visa •••• 4242, 04/29"))]
    pub payment_method: String,
    /// Why it failed, as a code such as `insufficient_funds`; null when it didn't.
    pub failure_reason: Option<String>,
    /// Until when the customer has to confirm it (RFC 3339, UTC); null when it needs no confirmation.
    pub confirm_until: Option<DateTime<Utc>>,
    /// When it was made (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// When its outcome became known (RFC 3339, UTC).
    pub finished_at: Option<DateTime<Utc>>,
}

/// Data that the app needs to let the customer confirm a charge.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConfirmationView {
    /// Stripe's secret of the payment, for this customer's device alone.
    pub client_secret: String,
    /// Until when (RFC 3339, UTC).
    pub confirm_until: Option<DateTime<Utc>>,
}

impl From<Invoice> for InvoiceView {
    fn from(invoice: Invoice) -> Self {
        Self {
            id: invoice.id,
            amount_cents: invoice.amount_cents,
            currency: invoice.currency.code().to_owned(),
            status: invoice.status,
            description: invoice.description,
            period_start: invoice.period_start,
            period_end: invoice.period_end,
            due_date: invoice.due_date,
            next_attempt_at: invoice.next_attempt_at,
            paid_at: invoice.paid_at,
            created_at: invoice.created_at,
            calculation: invoice.calculation.0,
            attempts: invoice.charges.0.into_iter().map(AttemptView::from).collect(),
            confirmation: None,
        }
    }
}

impl From<ChargeRecord> for AttemptView {
    fn from(charge: ChargeRecord) -> Self {
        Self {
            attempt: charge.attempt,
            status: charge.status,
            payment_method: charge.method_name,
            failure_reason: charge
                .failure_code
                .map(|code| decline::reason_for_customers(&code).to_owned()),
            confirm_until: charge.confirm_until,
            created_at: charge.created_at,
            finished_at: charge.finished_at,
        }
    }
}

fn invoice_status_schema() -> Object {
    names(InvoiceStatus::ALL.map(InvoiceStatus::name))
}

fn attempt_status_schema() -> Object {
    names(ChargeStatus::ALL.map(ChargeStatus::name))
}

fn names<const N: usize>(names: [&'static str; N]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .build()
}
