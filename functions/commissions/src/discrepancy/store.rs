//! `billing_discrepancies`.

use chrono::{DateTime, Utc};
use domain::ids::ChargeId;
use sqlx::PgConnection;

use crate::Error;

/// A conflict between Stripe and our record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Discrepancy {
    /// The kind of the conflict, for instance `amount`.
    pub(crate) kind: &'static str,
    /// The id at Stripe that it is about.
    pub(crate) subject: String,
    /// Our charge, where there is one.
    pub(crate) charge: Option<ChargeId>,
    /// The value of our record.
    pub(crate) expected: String,
    /// The value at Stripe.
    pub(crate) found: String,
}

/// Saves a discrepancy; `true` when it is new, or was closed and has come back. Seen again, what was first found stays.
pub(crate) async fn save(
    connection: &mut PgConnection,
    discrepancy: &Discrepancy,
    source: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let is_new = sqlx::query_scalar!(
        r#"WITH closed AS (
               SELECT FROM billing_discrepancies WHERE kind = $1 AND subject = $2 AND resolved_at IS NOT NULL
           )
           INSERT INTO billing_discrepancies
               (kind, subject, invoice_payment_id, expected, found, source, first_seen_at, last_seen_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
           ON CONFLICT (kind, subject) DO UPDATE SET last_seen_at = $7, resolved_at = NULL
           RETURNING (xmax = 0 OR EXISTS (SELECT FROM closed)) AS "is_new!""#,
        discrepancy.kind,
        discrepancy.subject,
        discrepancy.charge as _,
        discrepancy.expected,
        discrepancy.found,
        source,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(is_new)
}

/// Closes a discrepancy; `false` when there is no open one.
pub(crate) async fn close(
    connection: &mut PgConnection,
    kind: &str,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let closed = sqlx::query!(
        "UPDATE billing_discrepancies SET resolved_at = $3 \
         WHERE kind = $1 AND subject = $2 AND resolved_at IS NULL",
        kind,
        subject,
        now,
    )
    .execute(connection)
    .await?;
    Ok(closed.rows_affected() == 1)
}
