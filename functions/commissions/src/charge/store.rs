//! `invoice_payments`: the charges of invoices. Whoever changes one holds its invoice's lock, or its lease.

use chrono::{DateTime, Utc};
use domain::commissions::charge::ChargeStatus;
use domain::commissions::dunning::LastAttempt;
use domain::currency::Currency;
use domain::ids::{
    ChargeId, InvoiceId, PaymentMethodId, ProfileId, StripeCustomerId, StripePaymentIntentId,
    StripePaymentMethodId,
};
use domain::money::Money;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::dunning::LockedInvoice;

/// A charge, with everything that is needed to call Stripe for it.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: ChargeId,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) profile_id: ProfileId,
    /// Its number among the invoice's, from 1.
    pub(crate) attempt: i32,
    /// The idempotency key at Stripe.
    pub(crate) key: String,
    pub(crate) amount_cents: i64,
    pub(crate) currency: Currency,
    /// The invoice's description.
    pub(crate) description: String,
    pub(crate) status: ChargeStatus,
    pub(crate) intent: Option<StripePaymentIntentId>,
    pub(crate) method_name: String,
    pub(crate) stripe_method: StripePaymentMethodId,
    /// Its owner has deleted the method since.
    pub(crate) is_method_deleted: bool,
    pub(crate) customer: StripeCustomerId,
    pub(crate) confirm_until: Option<DateTime<Utc>>,
    /// It was closed at Stripe.
    pub(crate) is_cancelled: bool,
    /// Stripe refused it through a fault of ours, with this code; it stays in flight.
    pub(crate) refusal_code: Option<String>,
    /// Look-ups that found nothing.
    pub(crate) lookups: i32,
    /// Until when somebody calls Stripe about it.
    pub(crate) lease_until: Option<DateTime<Utc>>,
    /// The time of the run that made it.
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
}

impl Charge {
    /// Whether somebody is calling Stripe about it.
    pub(crate) fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.lease_until.is_some_and(|until| until > now)
    }

    pub(crate) fn amount(&self) -> Money {
        Money::new(self.amount_cents, self.currency)
    }
}

/// The invoice's last charge. Whoever decides by it holds the invoice's lock.
pub(crate) async fn last(connection: &mut PgConnection, invoice: InvoiceId) -> Result<Option<Charge>, Error> {
    select(connection, None, Some(invoice)).await
}

/// The invoice's last attempt that counts: the method that it charged is tried again on the days of the retries alone.
pub(crate) async fn last_that_counts(
    connection: &mut PgConnection,
    invoice: InvoiceId,
) -> Result<Option<LastAttempt>, Error> {
    let attempt = sqlx::query_as!(
        LastAttempt,
        r#"SELECT payment_method_id AS "method: _", created_at AS at FROM invoice_payments
           WHERE invoice_id = $1 AND counts ORDER BY attempt DESC LIMIT 1"#,
        invoice as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(attempt)
}

/// A charge. Whoever changes it holds its invoice's lock.
pub(crate) async fn load(connection: &mut PgConnection, charge: ChargeId) -> Result<Charge, Error> {
    let found = select(connection, Some(charge), None).await?;
    found.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

async fn select(
    connection: &mut PgConnection,
    charge: Option<ChargeId>,
    last_of: Option<InvoiceId>,
) -> Result<Option<Charge>, Error> {
    let charge = sqlx::query_as!(
        Charge,
        r#"SELECT payment.id AS "id: _", payment.invoice_id AS "invoice_id: _", payment.profile_id AS "profile_id: _",
                  attempt, idempotency_key AS key, payment.amount_cents, payment.currency AS "currency: _",
                  invoice.description, payment.status AS "status: _", payment_intent_id AS "intent: _",
                  method.name AS method_name, method.stripe_ref_id AS "stripe_method: _",
                  method.deleted_at IS NOT NULL AS "is_method_deleted!",
                  COALESCE(payment.stripe_customer, customer.ref_id) AS "customer!: _", confirm_until,
                  cancelled_at IS NOT NULL AS "is_cancelled!", refusal_code, lookups, asked_until AS lease_until, payment.run_at, payment.created_at
           FROM invoice_payments AS payment
           JOIN invoices AS invoice ON invoice.id = payment.invoice_id
           JOIN payment_methods AS method ON method.id = payment.payment_method_id
           JOIN stripe_customers AS customer ON customer.profile_id = payment.profile_id
           WHERE payment.id = COALESCE($1, (SELECT id FROM invoice_payments
                                            WHERE invoice_id = $2 ORDER BY attempt DESC LIMIT 1))"#,
        charge as _,
        last_of as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(charge)
}

/// A charge and its invoice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChargeOfInvoice {
    pub(crate) id: ChargeId,
    pub(crate) invoice_id: InvoiceId,
}

/// The charge that a payment at Stripe belongs to: by the payment's id, or by the key in its metadata while its id isn't
/// known yet.
pub(crate) async fn find(
    connection: &mut PgConnection,
    intent: &StripePaymentIntentId,
    key: Option<&str>,
) -> Result<Option<ChargeOfInvoice>, Error> {
    let charge = sqlx::query_as!(
        ChargeOfInvoice,
        r#"SELECT id AS "id: _", invoice_id AS "invoice_id: _" FROM invoice_payments
           WHERE payment_intent_id = $1 OR idempotency_key = $2
           ORDER BY payment_intent_id = $1 DESC NULLS LAST LIMIT 1"#,
        intent as _,
        key,
    )
    .fetch_optional(connection)
    .await?;
    Ok(charge)
}

/// A charge to be written down.
#[derive(Debug)]
pub(crate) struct NewCharge<'a> {
    pub(crate) method: PaymentMethodId,
    pub(crate) attempt: i32,
    pub(crate) key: &'a str,
    /// The time of the run that makes it.
    pub(crate) run_at: DateTime<Utc>,
    /// Whoever writes it down calls Stripe, until then at most.
    pub(crate) lease_until: DateTime<Utc>,
    pub(crate) next_lookup_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Writes the invoice's next charge down, before Stripe is called.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    invoice: &LockedInvoice,
    charge: &NewCharge<'_>,
) -> Result<Charge, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO invoice_payments (profile_id, invoice_id, payment_method_id, attempt, idempotency_key, amount_cents,
               currency, asked_until, next_lookup_at, run_at, created_at, stripe_customer)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
                   (SELECT ref_id FROM stripe_customers WHERE profile_id = $1)) RETURNING id AS "id: ChargeId""#,
        invoice.profile_id as _,
        invoice.id as _,
        charge.method as _,
        charge.attempt,
        charge.key,
        invoice.amount.minor(),
        invoice.amount.currency() as _,
        charge.lease_until,
        charge.next_lookup_at,
        charge.run_at,
        charge.created_at,
    )
    .fetch_one(&mut *connection)
    .await?;
    load(connection, id).await
}

/// Leases a charge whose outcome is unknown, to call Stripe about it; `false` while somebody else has it leased.
pub(crate) async fn try_lease(
    connection: &mut PgConnection,
    charge: ChargeId,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE invoice_payments SET asked_until = $3 \
         WHERE id = $1 AND status = 'unknown' AND (asked_until IS NULL OR asked_until <= $2)",
        charge as _,
        now,
        until,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Ends the lease without an outcome, and says when to look the charge up where that changes.
pub(crate) async fn release_lease(
    connection: &mut PgConnection,
    charge: ChargeId,
    next_lookup_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET asked_until = NULL, next_lookup_at = COALESCE($2, next_lookup_at) \
         WHERE id = $1 AND status = 'unknown'",
        charge as _,
        next_lookup_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A transition of a charge, to be recorded.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) status: ChargeStatus,
    pub(crate) intent: Option<&'a StripePaymentIntentId>,
    pub(crate) failure_code: Option<&'a str>,
    /// Whether a failure counts against its customer.
    pub(crate) counts: bool,
    pub(crate) response: Option<&'a RawValue>,
    pub(crate) confirm_until: Option<DateTime<Utc>>,
    /// When it is looked up by itself.
    pub(crate) next_lookup_at: Option<DateTime<Utc>>,
    /// Nobody can confirm it any more.
    pub(crate) is_cancelled: bool,
    /// When this is recorded.
    pub(crate) at: DateTime<Utc>,
}

/// Records a transition, and ends the lease.
pub(crate) async fn record(
    connection: &mut PgConnection,
    charge: ChargeId,
    recorded: &Recorded<'_>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET status = $2, payment_intent_id = COALESCE($3, payment_intent_id), \
         failure_code = $4, response = COALESCE($5, response), confirm_until = COALESCE($6, confirm_until), \
         next_lookup_at = $7, lookups = 0, asked_until = NULL, finished_at = $8, \
         cancelled_at = COALESCE(cancelled_at, $9), counts = $10, refusal_code = NULL \
         WHERE id = $1",
        charge as _,
        recorded.status as _,
        recorded.intent as _,
        recorded.failure_code,
        recorded.response.map(Json) as _,
        recorded.confirm_until,
        recorded.next_lookup_at,
        (!recorded.status.is_in_flight()).then_some(recorded.at),
        recorded.is_cancelled.then_some(recorded.at),
        recorded.counts,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that Stripe refused a charge through a fault of ours: it stays in flight, with the status that it has by that, and is
/// tried again from a time on.
pub(crate) async fn set_refused(
    connection: &mut PgConnection,
    charge: ChargeId,
    status: ChargeStatus,
    code: &str,
    next_lookup_at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET status = $4, refusal_code = $2, next_lookup_at = $3, asked_until = NULL \
         WHERE id = $1 AND status IN ('unknown', 'processing', 'requires_action')",
        charge as _,
        code,
        next_lookup_at,
        status as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Saves the payment's id where it wasn't known.
pub(crate) async fn save_intent(
    connection: &mut PgConnection,
    charge: ChargeId,
    intent: &StripePaymentIntentId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET payment_intent_id = $2, asked_until = NULL \
         WHERE id = $1 AND payment_intent_id IS NULL",
        charge as _,
        intent as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a charge of the invoice is in flight. Whoever decides by it holds the invoice's lock.
pub(crate) async fn is_in_flight(connection: &mut PgConnection, invoice: InvoiceId) -> Result<bool, Error> {
    let is_in_flight = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM invoice_payments WHERE invoice_id = $1
                          AND status IN ('unknown', 'processing', 'requires_action')) AS "is_in_flight!""#,
        invoice as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(is_in_flight)
}

/// Has a charge whose outcome is unknown looked up from a time on, as if it was never looked up.
pub(crate) async fn look_up_from(
    connection: &mut PgConnection,
    charge: ChargeId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET lookups = 0, next_lookup_at = $2 WHERE id = $1 AND status = 'unknown'",
        charge as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that nobody can confirm the charge any more.
pub(crate) async fn set_cancelled(
    connection: &mut PgConnection,
    charge: ChargeId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET cancelled_at = $2 WHERE id = $1 AND cancelled_at IS NULL",
        charge as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How often the refunds of a charge were recorded. It is read before Stripe is asked for them.
pub(crate) async fn refunds_version(connection: &mut PgConnection, charge: ChargeId) -> Result<i32, Error> {
    let version = sqlx::query_scalar!(
        "SELECT refunds_version FROM invoice_payments WHERE id = $1",
        charge as _
    )
    .fetch_one(connection)
    .await?;
    Ok(version)
}

/// Records how much of a charge is given back, as Stripe said when the version was this one; by how much that is more than
/// before, in minor units: below zero when a refund has failed since. `None` when something newer was recorded meanwhile.
pub(crate) async fn set_refunded(
    connection: &mut PgConnection,
    charge: ChargeId,
    refunded_cents: i64,
    version: i32,
) -> Result<Option<i64>, Error> {
    let more = sqlx::query_scalar!(
        r#"UPDATE invoice_payments AS payment SET refunded_cents = $2, refunds_version = $3 + 1
           FROM (SELECT id, refunded_cents FROM invoice_payments WHERE id = $1 AND refunds_version = $3 FOR UPDATE) AS before
           WHERE payment.id = before.id
           RETURNING $2 - before.refunded_cents AS "more!""#,
        charge as _,
        refunded_cents,
        version,
    )
    .fetch_optional(connection)
    .await?;
    Ok(more)
}

/// Records that the customer disputes the charge at the bank.
pub(crate) async fn set_disputed(
    connection: &mut PgConnection,
    charge: ChargeId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET disputed_at = COALESCE(disputed_at, $2) WHERE id = $1",
        charge as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records how a dispute has ended; its beginning, too, where that isn't recorded.
pub(crate) async fn set_dispute_outcome(
    connection: &mut PgConnection,
    charge: ChargeId,
    outcome: &str,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET disputed_at = COALESCE(disputed_at, $3), dispute_outcome = $2 WHERE id = $1",
        charge as _,
        outcome,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
