//! `invoice_payments` as the reconciler reads them: those whose look-up is due, and those of the last days.

use chrono::{DateTime, Utc};
use domain::commissions::charge::ChargeStatus;
use domain::ids::{ChargeId, InvoiceId, StripePaymentIntentId};
use sqlx::PgConnection;

use crate::Error;

/// Claims the charge whose look-up is due for the longest time at the time of the run, until `claimed_until`, and counts the
/// look-up. One at a time: whatever a run has no time for is neither counted nor postponed.
pub(super) async fn claim_due(
    connection: &mut PgConnection,
    run: DateTime<Utc>,
    now: DateTime<Utc>,
    claimed_until: DateTime<Utc>,
) -> Result<Option<ChargeId>, Error> {
    let claimed = sqlx::query_scalar!(
        r#"UPDATE invoice_payments SET lookups = lookups + 1, next_lookup_at = $3
           WHERE id = (SELECT id FROM invoice_payments
                       WHERE next_lookup_at <= $1 AND (asked_until IS NULL OR asked_until <= $2)
                       ORDER BY next_lookup_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING id AS "id: ChargeId""#,
        run,
        now,
        claimed_until,
    )
    .fetch_optional(connection)
    .await?;
    Ok(claimed)
}

/// Says when the charge is looked up next; `None` leaves it to manual review.
pub(super) async fn set_next_lookup(
    connection: &mut PgConnection,
    charge: ChargeId,
    at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoice_payments SET next_lookup_at = $2 \
         WHERE id = $1 AND status IN ('unknown', 'processing', 'requires_action')",
        charge as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A charge as it is compared with Stripe's list.
#[derive(Debug, Clone)]
pub(super) struct RecordedCharge {
    pub(super) id: ChargeId,
    pub(super) invoice_id: InvoiceId,
    pub(super) key: String,
    pub(super) status: ChargeStatus,
    pub(super) intent: Option<StripePaymentIntentId>,
}

/// The charges of these keys, and those that were made and finished in a span of time.
pub(super) async fn recorded(
    connection: &mut PgConnection,
    keys: &[String],
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<RecordedCharge>, Error> {
    let charges = sqlx::query_as!(
        RecordedCharge,
        r#"SELECT id AS "id: _", invoice_id AS "invoice_id: _", idempotency_key AS key, status AS "status: _",
                  payment_intent_id AS "intent: _"
           FROM invoice_payments
           WHERE idempotency_key = ANY($1) OR (created_at >= $2 AND finished_at < $3) ORDER BY id"#,
        keys,
        since,
        until,
    )
    .fetch_all(connection)
    .await?;
    Ok(charges)
}
