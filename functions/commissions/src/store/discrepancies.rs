//! Where Stripe and our record disagree.

use domain::ids::InvoicePaymentId;
use sqlx::PgConnection;

use crate::Error;
use crate::discrepancy::Discrepancy;

/// Writes a disagreement down; `true` when it is new. Seen again, it keeps what was first found.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    discrepancy: &Discrepancy,
    source: &str,
) -> Result<bool, Error> {
    let is_new = sqlx::query_scalar!(
        r#"INSERT INTO billing_discrepancies (kind, subject, invoice_payment_id, expected, found, source)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (kind, subject) DO UPDATE SET last_seen_at = now()
           RETURNING xmax = 0 AS "is_new!""#,
        discrepancy.kind,
        discrepancy.subject,
        discrepancy.attempt.map(|attempt: InvoicePaymentId| attempt.get()),
        discrepancy.expected,
        discrepancy.found,
        source,
    )
    .fetch_one(connection)
    .await?;
    Ok(is_new)
}
