//! Attempts to charge invoices.

use chrono::{DateTime, Utc};
use domain::billing::charge::AttemptStatus;
use domain::ids::{
    InvoiceId, InvoicePaymentId, PaymentMethodId, ProfileId, StripeCustomerId, StripePaymentIntentId,
    StripePaymentMethodId,
};
use domain::money::Money;
use platform::error::PlatformError;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{id, money, outside_id};
use crate::Error;
use crate::store::collection::LockedInvoice;

/// An attempt, with everything that is needed to ask Stripe for it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) id: InvoicePaymentId,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) profile_id: ProfileId,
    pub(crate) number: u32,
    pub(crate) key: String,
    pub(crate) amount: Money,
    pub(crate) status: AttemptStatus,
    pub(crate) intent: Option<StripePaymentIntentId>,
    pub(crate) method_name: String,
    pub(crate) stripe_method: StripePaymentMethodId,
    pub(crate) customer: StripeCustomerId,
    pub(crate) confirm_until: Option<DateTime<Utc>>,
    /// It was closed at Stripe.
    pub(crate) is_cancelled: bool,
    pub(crate) lookups: u32,
    /// The time of the run that made it.
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
}

struct AttemptRow {
    id: i64,
    invoice_id: i64,
    profile_id: i64,
    attempt: i32,
    idempotency_key: String,
    amount_cents: i64,
    currency: String,
    status: String,
    payment_intent_id: Option<String>,
    method_name: String,
    stripe_ref_id: String,
    customer: String,
    confirm_until: Option<DateTime<Utc>>,
    is_cancelled: bool,
    lookups: i32,
    run_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = Error;

    fn try_from(row: AttemptRow) -> Result<Self, Error> {
        let count = |value: i32, name| u32::try_from(value).map_err(|_| PlatformError::Stored(name));
        Ok(Self {
            id: id(row.id)?,
            invoice_id: id(row.invoice_id)?,
            profile_id: id(row.profile_id)?,
            number: count(row.attempt, "attempt")?,
            key: row.idempotency_key,
            amount: money(row.amount_cents, &row.currency)?,
            status: AttemptStatus::parse(&row.status).ok_or(PlatformError::Stored("status"))?,
            intent: row.payment_intent_id.map(outside_id).transpose()?,
            method_name: row.method_name,
            stripe_method: outside_id(row.stripe_ref_id)?,
            customer: outside_id(row.customer)?,
            confirm_until: row.confirm_until,
            is_cancelled: row.is_cancelled,
            lookups: count(row.lookups, "lookups")?,
            run_at: row.run_at,
            created_at: row.created_at,
        })
    }
}

/// The invoice's last attempt. Whoever decides by it holds the invoice's lock.
pub(crate) async fn last(
    connection: &mut PgConnection,
    invoice: InvoiceId,
) -> Result<Option<Attempt>, Error> {
    let row = sqlx::query_as!(
        AttemptRow,
        r#"SELECT payment.id, payment.invoice_id, payment.profile_id, attempt, idempotency_key, amount_cents, currency,
                  status, payment_intent_id, method.name AS method_name, method.stripe_ref_id,
                  customer.ref_id AS customer, confirm_until, cancelled_at IS NOT NULL AS "is_cancelled!", lookups, payment.run_at,
                  payment.created_at
           FROM invoice_payments AS payment
           JOIN payment_methods AS method ON method.id = payment.payment_method_id
           JOIN stripe_customers AS customer ON customer.profile_id = payment.profile_id
           WHERE payment.invoice_id = $1 ORDER BY attempt DESC LIMIT 1"#,
        invoice.get(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Attempt::try_from).transpose()
}

/// An attempt. Whoever changes it holds its invoice's lock.
pub(crate) async fn load(connection: &mut PgConnection, attempt: InvoicePaymentId) -> Result<Attempt, Error> {
    let row = sqlx::query_as!(
        AttemptRow,
        r#"SELECT payment.id, payment.invoice_id, payment.profile_id, attempt, idempotency_key, amount_cents, currency,
                  status, payment_intent_id, method.name AS method_name, method.stripe_ref_id,
                  customer.ref_id AS customer, confirm_until, cancelled_at IS NOT NULL AS "is_cancelled!", lookups, payment.run_at,
                  payment.created_at
           FROM invoice_payments AS payment
           JOIN payment_methods AS method ON method.id = payment.payment_method_id
           JOIN stripe_customers AS customer ON customer.profile_id = payment.profile_id
           WHERE payment.id = $1"#,
        attempt.get(),
    )
    .fetch_one(connection)
    .await?;
    Attempt::try_from(row)
}

/// Which attempt a payment at Stripe belongs to, with its invoice: by the payment's id, or by the key in its metadata
/// when its id isn't known yet.
pub(crate) async fn find(
    connection: &mut PgConnection,
    intent: &StripePaymentIntentId,
    key: Option<&str>,
) -> Result<Option<(InvoicePaymentId, InvoiceId)>, Error> {
    let row = sqlx::query!(
        "SELECT id, invoice_id FROM invoice_payments WHERE payment_intent_id = $1 OR idempotency_key = $2 \
         ORDER BY payment_intent_id = $1 DESC NULLS LAST LIMIT 1",
        intent.as_str(),
        key,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((id(row.id)?, id(row.invoice_id)?)))
}

/// An attempt to be written down.
#[derive(Debug)]
pub(crate) struct NewAttempt<'a> {
    pub(crate) method: PaymentMethodId,
    pub(crate) number: u32,
    pub(crate) key: &'a str,
    /// The time of the run that makes it.
    pub(crate) run_at: DateTime<Utc>,
    /// Whoever writes it asks, for so long at most.
    pub(crate) lease_ms: i64,
    pub(crate) next_lookup_at: DateTime<Utc>,
}

/// Writes the invoice's next attempt down, before Stripe is asked.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    invoice: &LockedInvoice,
    attempt: &NewAttempt<'_>,
) -> Result<InvoicePaymentId, Error> {
    let row = sqlx::query_scalar!(
        "INSERT INTO invoice_payments (profile_id, invoice_id, payment_method_id, attempt, idempotency_key, amount_cents, \
         currency, asked_until, next_lookup_at, run_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::BIGINT * interval '1 millisecond', $9, $10) RETURNING id",
        invoice.profile_id.get(),
        invoice.id.get(),
        attempt.method.get(),
        i32::try_from(attempt.number).map_err(|_| PlatformError::Stored("attempt"))?,
        attempt.key,
        invoice.amount.minor(),
        invoice.amount.currency().code(),
        attempt.lease_ms,
        attempt.next_lookup_at,
        attempt.run_at,
    )
    .fetch_one(connection)
    .await?;
    Ok(id(row)?)
}

/// Takes the turn to ask Stripe about an attempt whose outcome isn't known; `false` while somebody else has it.
pub(crate) async fn begin_asking(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
    lease_ms: i64,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE invoice_payments SET asked_until = clock_timestamp() + $2::BIGINT * interval '1 millisecond' \
         WHERE id = $1 AND status = 'unknown' AND (asked_until IS NULL OR asked_until <= clock_timestamp())",
        attempt.get(),
        lease_ms,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Gives the turn back without an answer, and says when to look again.
pub(crate) async fn end_asking(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
    next_lookup_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET asked_until = NULL, next_lookup_at = COALESCE($2, next_lookup_at) \
         WHERE id = $1 AND status = 'unknown'",
        attempt.get(),
        next_lookup_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What is recorded of an attempt.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) status: AttemptStatus,
    pub(crate) intent: Option<&'a StripePaymentIntentId>,
    pub(crate) failure_code: Option<&'a str>,
    pub(crate) response: Option<&'a RawValue>,
    pub(crate) confirm_until: Option<DateTime<Utc>>,
    /// When it is looked at again by itself.
    pub(crate) next_lookup_at: Option<DateTime<Utc>>,
}

/// Records what the transition function gave.
pub(crate) async fn record(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
    recorded: &Recorded<'_>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET status = $2, payment_intent_id = COALESCE($3, payment_intent_id), \
         failure_code = $4, response = COALESCE($5, response), confirm_until = COALESCE($6, confirm_until), \
         next_lookup_at = $7, lookups = 0, asked_until = NULL, \
         finished_at = CASE WHEN $2 IN ('succeeded', 'failed') THEN now() END \
         WHERE id = $1",
        attempt.get(),
        recorded.status.name(),
        recorded.intent.map(StripePaymentIntentId::as_str),
        recorded.failure_code,
        recorded.response.map(Json) as _,
        recorded.confirm_until,
        recorded.next_lookup_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps the payment's id where it wasn't known.
pub(crate) async fn keep_intent(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
    intent: &StripePaymentIntentId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET payment_intent_id = $2, asked_until = NULL \
         WHERE id = $1 AND payment_intent_id IS NULL",
        attempt.get(),
        intent.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that nobody can confirm the attempt any more.
pub(crate) async fn set_cancelled(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET cancelled_at = now() WHERE id = $1 AND cancelled_at IS NULL",
        attempt.get(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records how much was given back in all; an older word changes nothing.
pub(crate) async fn set_refunded(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
    refunded_cents: i64,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET refunded_cents = greatest(refunded_cents, $2) WHERE id = $1",
        attempt.get(),
        refunded_cents,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the customer disputes the charge at the bank.
pub(crate) async fn set_disputed(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET disputed_at = COALESCE(disputed_at, $2) WHERE id = $1",
        attempt.get(),
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Claims the attempt whose look-up is due for the longest time and counts the look-up. One at a time: what a run doesn't
/// come to is neither counted nor pushed.
pub(crate) async fn claim_due(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    next_lookup_at: DateTime<Utc>,
) -> Result<Option<InvoicePaymentId>, Error> {
    let claimed = sqlx::query_scalar!(
        "UPDATE invoice_payments SET lookups = lookups + 1, next_lookup_at = $2 \
         WHERE id = (SELECT id FROM invoice_payments \
                     WHERE next_lookup_at <= $1 AND (asked_until IS NULL OR asked_until <= clock_timestamp()) \
                     ORDER BY next_lookup_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) \
         RETURNING id",
        now,
        next_lookup_at,
    )
    .fetch_optional(connection)
    .await?;
    Ok(claimed.map(id).transpose()?)
}

/// Says when the attempt is looked at again; nothing parks it for a person.
pub(crate) async fn set_next_lookup(
    connection: &mut PgConnection,
    attempt: InvoicePaymentId,
    at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET next_lookup_at = $2 \
         WHERE id = $1 AND status IN ('unknown', 'processing', 'requires_action')",
        attempt.get(),
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An attempt as it is compared with Stripe's list.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    pub(crate) id: InvoicePaymentId,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) key: String,
    pub(crate) status: AttemptStatus,
    pub(crate) intent: Option<StripePaymentIntentId>,
}

/// The attempts of these keys, and those that were made and finished in a span of time.
pub(crate) async fn to_compare(
    connection: &mut PgConnection,
    keys: &[String],
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Compared>, Error> {
    let rows = sqlx::query!(
        "SELECT id, invoice_id, idempotency_key, status, payment_intent_id FROM invoice_payments \
         WHERE idempotency_key = ANY($1) OR (created_at >= $2 AND finished_at < $3) ORDER BY id",
        keys,
        since,
        until,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Compared {
                id: id(row.id)?,
                invoice_id: id(row.invoice_id)?,
                key: row.idempotency_key,
                status: AttemptStatus::parse(&row.status).ok_or(PlatformError::Stored("status"))?,
                intent: row.payment_intent_id.map(outside_id).transpose()?,
            })
        })
        .collect()
}
