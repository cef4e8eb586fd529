//! Invoices as their profile sees them.

use chrono::{DateTime, NaiveDate, Utc};
use domain::billing::charge::AttemptStatus;
use domain::billing::invoice::InvoiceStatus;
use domain::ids::{InvoiceId, ProfileId, StripePaymentIntentId};
use domain::money::Money;
use platform::error::PlatformError;
use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{id, money, outside_id};
use crate::Error;

/// An invoice.
#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub(crate) id: InvoiceId,
    pub(crate) amount: Money,
    pub(crate) status: InvoiceStatus,
    pub(crate) description: String,
    pub(crate) period_start: NaiveDate,
    pub(crate) period_end: NaiveDate,
    pub(crate) due_date: DateTime<Utc>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) paid_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) calculation: Calculation,
    pub(crate) attempts: Vec<AttemptRecord>,
}

/// How the amount came about, as `create_invoices` wrote it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Calculation {
    pub(crate) average_equity_cents: Option<i64>,
    pub(crate) billable_days: Option<u32>,
    pub(crate) days_with_balance: Option<u32>,
    pub(crate) yearly_commission_cents: Option<i64>,
    pub(crate) yearly_rate: Option<String>,
}

/// An attempt to charge an invoice.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRecord {
    pub(crate) invoice_id: i64,
    pub(crate) number: i32,
    pub(crate) status: AttemptStatus,
    pub(crate) method_name: String,
    pub(crate) failure_code: Option<String>,
    pub(crate) intent: Option<StripePaymentIntentId>,
    pub(crate) confirm_until: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

/// What the charge of an invoice is called at Stripe.
pub(crate) async fn description(connection: &mut PgConnection, invoice: InvoiceId) -> Result<String, Error> {
    let description = sqlx::query_scalar!("SELECT description FROM invoices WHERE id = $1", invoice.get())
        .fetch_one(connection)
        .await?;
    Ok(description)
}

/// The profile's invoices before the id `before`, newest first, with their attempts: two statements for any number.
pub(crate) async fn page(
    connection: &mut PgConnection,
    profile: ProfileId,
    before: i64,
    limit: i64,
) -> Result<Vec<Invoice>, Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM invoices WHERE profile_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        profile.get(),
        before,
        limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    load(connection, profile, &ids).await
}

/// One of the profile's invoices.
pub(crate) async fn find(
    connection: &mut PgConnection,
    profile: ProfileId,
    invoice: InvoiceId,
) -> Result<Option<Invoice>, Error> {
    Ok(load(connection, profile, &[invoice.get()]).await?.pop())
}

async fn load(connection: &mut PgConnection, profile: ProfileId, ids: &[i64]) -> Result<Vec<Invoice>, Error> {
    let rows = sqlx::query!(
        r#"SELECT id, amount_cents, currency, status, description, period_start, period_end, due_date, next_attempt_at,
                  paid_at, created_at, metadata AS "metadata: Json<Calculation>"
           FROM invoices WHERE profile_id = $1 AND id = ANY($2) ORDER BY id DESC"#,
        profile.get(),
        ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let attempts = attempts(connection, profile, ids).await?;
    rows.into_iter()
        .map(|row| {
            let of_invoice = attempts.iter().filter(|attempt| attempt.invoice_id == row.id);
            Ok(Invoice {
                attempts: of_invoice.cloned().collect(),
                id: id(row.id)?,
                amount: money(row.amount_cents, &row.currency)?,
                status: InvoiceStatus::parse(&row.status).ok_or(PlatformError::Stored("status"))?,
                description: row.description,
                period_start: row.period_start,
                period_end: row.period_end,
                due_date: row.due_date,
                next_attempt_at: row.next_attempt_at,
                paid_at: row.paid_at,
                created_at: row.created_at,
                calculation: row.metadata.0,
            })
        })
        .collect()
}

async fn attempts(
    connection: &mut PgConnection,
    profile: ProfileId,
    invoices: &[i64],
) -> Result<Vec<AttemptRecord>, Error> {
    let rows = sqlx::query!(
        "SELECT payment.invoice_id, payment.attempt, payment.status, method.name AS method_name, payment.failure_code, \
         payment.payment_intent_id, payment.confirm_until, payment.created_at, payment.finished_at \
         FROM invoice_payments AS payment JOIN payment_methods AS method ON method.id = payment.payment_method_id \
         WHERE payment.profile_id = $1 AND payment.invoice_id = ANY($2) ORDER BY payment.invoice_id, payment.attempt",
        profile.get(),
        invoices,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AttemptRecord {
                invoice_id: row.invoice_id,
                number: row.attempt,
                status: AttemptStatus::parse(&row.status).ok_or(PlatformError::Stored("status"))?,
                method_name: row.method_name,
                failure_code: row.failure_code,
                intent: row.payment_intent_id.map(outside_id).transpose()?,
                confirm_until: row.confirm_until,
                created_at: row.created_at,
                finished_at: row.finished_at,
            })
        })
        .collect()
}
