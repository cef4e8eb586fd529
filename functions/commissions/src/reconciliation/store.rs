//! `invoice_payments` as the reconciler reads them: those whose look-up is due, and those of the last days.

use std::ops::Range;

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

/// The charges of these keys, and those that were made in a span of time and finished before `finished`.
pub(super) async fn recorded(
    connection: &mut PgConnection,
    keys: &[String],
    made: Range<DateTime<Utc>>,
    finished: DateTime<Utc>,
) -> Result<Vec<RecordedCharge>, Error> {
    let charges = sqlx::query_as!(
        RecordedCharge,
        r#"SELECT id AS "id: _", invoice_id AS "invoice_id: _", idempotency_key AS key, status AS "status: _",
                  payment_intent_id AS "intent: _"
           FROM invoice_payments
           WHERE idempotency_key = ANY($1) OR (created_at >= $2 AND created_at < $3 AND finished_at < $4) ORDER BY id"#,
        keys,
        made.start,
        made.end,
        finished,
    )
    .fetch_all(connection)
    .await?;
    Ok(charges)
}

/// The times that part the charges of a span of time into slices of so many.
pub(super) async fn parting_times(
    connection: &mut PgConnection,
    made: Range<DateTime<Utc>>,
    charges: i64,
) -> Result<Vec<DateTime<Utc>>, Error> {
    let times = sqlx::query_scalar!(
        r#"SELECT DISTINCT created_at FROM (
               SELECT created_at, row_number() OVER (ORDER BY created_at) AS number
               FROM invoice_payments WHERE created_at > $1 AND created_at < $2
           ) AS charge
           WHERE number % $3 = 0 ORDER BY created_at"#,
        made.start,
        made.end,
        charges,
    );
    Ok(times.fetch_all(connection).await?)
}

/// Up to when the last run compared, if it didn't come to the end.
pub(super) async fn compared_until(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let until = sqlx::query_scalar!("SELECT compared_until FROM billing_reconciliation_cursor");
    Ok(until.fetch_optional(connection).await?)
}

/// Says where the next run begins; `None` when this one came to the end.
pub(super) async fn set_compared_until(
    connection: &mut PgConnection,
    until: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "WITH ended AS (DELETE FROM billing_reconciliation_cursor WHERE $1::TIMESTAMPTZ IS NULL)
         INSERT INTO billing_reconciliation_cursor (compared_until) SELECT $1 WHERE $1 IS NOT NULL
         ON CONFLICT (only_one) DO UPDATE SET compared_until = EXCLUDED.compared_until",
        until,
    )
    .execute(connection)
    .await?;
    Ok(())
}
