//! `invoices`: creating them, and reading them as their profile sees them.

use chrono::{DateTime, NaiveDate, Utc};
use domain::commissions::charge::ChargeStatus;
use domain::commissions::invoice::InvoiceStatus;
use domain::commissions::period::BillingPeriod;
use domain::commissions::terms::{CommissionTerms, SmallestCharges};
use domain::currency::Currency;
use domain::ids::{CorrelationId, InvoiceId, ProfileId, StripePaymentIntentId};
use domain::money::Money;
use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::calculation::CalculationView;
use super::report::PeriodReport;
use crate::Error;

/// An invoice with all attempts to charge it.
#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub(crate) id: InvoiceId,
    pub(crate) amount_cents: i64,
    pub(crate) currency: Currency,
    pub(crate) status: InvoiceStatus,
    pub(crate) description: String,
    pub(crate) period_start: NaiveDate,
    pub(crate) period_end: NaiveDate,
    pub(crate) due_date: DateTime<Utc>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) paid_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) calculation: Json<CalculationView>,
    pub(crate) charges: Json<Vec<ChargeRecord>>,
}

impl Invoice {
    pub(crate) fn amount(&self) -> Money {
        Money::new(self.amount_cents, self.currency)
    }
}

/// An attempt to charge an invoice.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ChargeRecord {
    /// Its number, from 1.
    pub(crate) attempt: i32,
    pub(crate) status: ChargeStatus,
    pub(crate) method_name: String,
    pub(crate) failure_code: Option<String>,
    pub(crate) payment_intent_id: Option<StripePaymentIntentId>,
    pub(crate) confirm_until: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

/// The profile's invoices before the one of id `before`, newest first.
pub(crate) async fn page(
    connection: &mut PgConnection,
    profile: ProfileId,
    before: Option<InvoiceId>,
    rows: i64,
) -> Result<Vec<Invoice>, Error> {
    let last = before.map_or(i64::MAX, |before| before.get().saturating_sub(1));
    between(connection, profile, 0, last, rows).await
}

/// One of the profile's invoices.
pub(crate) async fn find(
    connection: &mut PgConnection,
    profile: ProfileId,
    invoice: InvoiceId,
) -> Result<Option<Invoice>, Error> {
    let id = invoice.get();
    Ok(between(connection, profile, id, id, 1).await?.pop())
}

/// The profile's invoices from one id to another, newest first.
async fn between(
    connection: &mut PgConnection,
    profile: ProfileId,
    first: i64,
    last: i64,
    rows: i64,
) -> Result<Vec<Invoice>, Error> {
    let invoices = sqlx::query_as!(
        Invoice,
        r#"SELECT id AS "id: _", amount_cents, currency AS "currency: _", status AS "status: _", description, period_start,
                  period_end, due_date, next_attempt_at, paid_at, created_at, metadata AS "calculation: _",
                  (SELECT COALESCE(jsonb_agg(jsonb_build_object(
                       'attempt', payment.attempt, 'status', payment.status, 'method_name', method.name,
                       'failure_code', CASE WHEN payment.counts THEN payment.failure_code END,
                       'payment_intent_id', payment.payment_intent_id,
                       'confirm_until', payment.confirm_until, 'created_at', payment.created_at,
                       'finished_at', payment.finished_at) ORDER BY payment.attempt), '[]')
                   FROM invoice_payments AS payment
                   JOIN payment_methods AS method ON method.id = payment.payment_method_id
                   WHERE payment.invoice_id = invoices.id) AS "charges!: _"
           FROM invoices WHERE profile_id = $1 AND id BETWEEN $2 AND $3 ORDER BY id DESC LIMIT $4"#,
        profile as _,
        first,
        last,
        rows,
    )
    .fetch_all(connection)
    .await?;
    Ok(invoices)
}

/// Lets this transaction's statements take as long as a job may, instead of a request: for all invoices of a month. The
/// connection belongs to this transaction until it ends, also behind RDS Proxy, which is what a daily job may ask for.
pub(crate) async fn extend_timeouts(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!(
        "SELECT set_config('statement_timeout', '240s', true) AS statement_timeout, \
         set_config('lock_timeout', '240s', true) AS lock_timeout"
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Creates the invoices of some periods that aren't there yet, with their events, in one statement.
pub(crate) async fn create(
    connection: &mut PgConnection,
    periods: &[BillingPeriod],
    due_date: DateTime<Utc>,
    terms: &CommissionTerms,
    smallest: &SmallestCharges,
    now: DateTime<Utc>,
    correlation_id: &CorrelationId,
) -> Result<Vec<PeriodReport>, Error> {
    let starts: Vec<NaiveDate> = periods.iter().map(BillingPeriod::start).collect();
    let ends: Vec<NaiveDate> = periods.iter().map(BillingPeriod::end).collect();
    let reports = sqlx::query_as!(
        PeriodReport,
        r#"SELECT period.period_start AS "period_start!", period.period_end AS "period_end!",
                  made.accounts AS "accounts!", made.created AS "created!", made.free AS "free!",
                  made.without_balances AS "without_balances!", made.total_cents AS "total_cents!",
                  made.carried_over AS "carried_over!"
           FROM unnest($1::DATE[], $2::DATE[]) AS period (period_start, period_end)
           CROSS JOIN LATERAL create_invoices(period.period_start, period.period_end, $3, $4, $5, $6, $7, $8, $9) AS made"#,
        &starts,
        &ends,
        due_date,
        terms.yearly_rate(),
        i64::from(terms.yearly_minimum_cents()),
        i64::from(terms.free_limit_cents()),
        now,
        correlation_id.as_ref(),
        Json(smallest.as_map()) as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(reports)
}
