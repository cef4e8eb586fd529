//! `invoices` while they are charged. Locks: the invoice before its charges.

use chrono::{DateTime, NaiveDate, Utc};
use domain::commissions::dunning::{DueToday, Dunning};
use domain::commissions::invoice::InvoiceStatus;
use domain::currency::Currency;
use domain::ids::{CorrelationId, InvoiceId, ProfileId};
use domain::money::Money;
use platform::error::PlatformError;
use sqlx::PgConnection;

use crate::Error;
use crate::events::InvoicePayload;

/// An invoice under its lock.
#[derive(Debug, Clone)]
pub(crate) struct LockedInvoice {
    pub(crate) id: InvoiceId,
    pub(crate) profile_id: ProfileId,
    pub(crate) amount: Money,
    pub(crate) period_start: NaiveDate,
    pub(crate) period_end: NaiveDate,
    /// Its status, and how far dunning has come.
    pub(crate) dunning: Dunning,
}

impl LockedInvoice {
    /// The invoice as events have it.
    pub(crate) fn payload(&self) -> InvoicePayload {
        InvoicePayload {
            invoice_id: self.id,
            profile_id: self.profile_id,
            amount_cents: self.amount.minor(),
            currency: self.amount.currency().code().to_owned(),
            period_start: self.period_start,
            period_end: self.period_end,
        }
    }
}

/// Locks the invoice.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    invoice: InvoiceId,
) -> Result<Option<LockedInvoice>, Error> {
    let row = sqlx::query!(
        r#"SELECT profile_id AS "profile_id: ProfileId", amount_cents, currency AS "currency: Currency", period_start,
                  period_end, due_date, status AS "status: InvoiceStatus", failed_attempts, first_failed_at,
                  next_attempt_at
           FROM invoices WHERE id = $1 FOR UPDATE"#,
        invoice as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| LockedInvoice {
        id: invoice,
        profile_id: row.profile_id,
        amount: Money::new(row.amount_cents, row.currency),
        period_start: row.period_start,
        period_end: row.period_end,
        dunning: Dunning {
            status: row.status,
            due_date: row.due_date,
            // Never below zero: the table has a CHECK.
            failed_attempts: row.failed_attempts.unsigned_abs(),
            first_failed_at: row.first_failed_at,
            next_attempt_at: row.next_attempt_at,
        },
    }))
}

/// Records how far dunning has come.
pub(crate) async fn set_dunning(
    connection: &mut PgConnection,
    invoice: InvoiceId,
    dunning: &Dunning,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoices SET status = $2, failed_attempts = $3, first_failed_at = $4, next_attempt_at = $5 WHERE id = $1",
        invoice as _,
        dunning.status as _,
        i32::try_from(dunning.failed_attempts).map_err(|_| PlatformError::Stored("failed_attempts"))?,
        dunning.first_failed_at,
        dunning.next_attempt_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the invoice is paid.
pub(crate) async fn set_paid(
    connection: &mut PgConnection,
    invoice: InvoiceId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoices SET status = 'paid', paid_at = $2, next_attempt_at = NULL WHERE id = $1",
        invoice as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the invoice was taken back.
pub(crate) async fn set_void(connection: &mut PgConnection, invoice: InvoiceId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE invoices SET status = 'void', next_attempt_at = NULL WHERE id = $1",
        invoice as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a message on the queue of payments for every invoice for which something may have to be done on the day of the time
/// `as_of`, in one statement; gives how many. Whether there is is decided under the invoice's lock, by `Dunning::step`; this
/// chooses the same invoices or more.
pub(crate) async fn publish_due(
    connection: &mut PgConnection,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
    correlation_id: &CorrelationId,
) -> Result<u64, Error> {
    let today = DueToday::at(as_of);
    let published = sqlx::query!(
        r#"INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination)
           SELECT event.id, 'invoice.payment-due', 'invoice-' || invoice.id,
                  jsonb_build_object(
                      'id', event.id, 'type', 'invoice.payment-due', 'key', 'invoice-' || invoice.id,
                      'occurred_at', $1::TIMESTAMPTZ, 'correlation_id', $2::TEXT,
                      'data', jsonb_build_object('invoice_id', invoice.id, 'as_of', $1::TIMESTAMPTZ)),
                  'queue', 'invoice-payments'
           FROM invoices AS invoice
           LEFT JOIN LATERAL (
               SELECT status, confirm_until FROM invoice_payments
               WHERE invoice_payments.invoice_id = invoice.id ORDER BY attempt DESC LIMIT 1
           ) AS last ON true
           LEFT JOIN LATERAL (
               SELECT payment_method_id, created_at FROM invoice_payments
               WHERE invoice_payments.invoice_id = invoice.id AND counts ORDER BY attempt DESC LIMIT 1
           ) AS tried ON true
           LEFT JOIN LATERAL (
               SELECT id, renewed_at FROM payment_methods
               WHERE payment_methods.profile_id = invoice.profile_id AND deleted_at IS NULL
               ORDER BY set_active_at DESC, id DESC LIMIT 1
           ) AS active ON true
           CROSS JOIN LATERAL (SELECT uuid_v7($4) AS id WHERE invoice.id IS NOT NULL) AS event
           WHERE invoice.status IN ('open', 'uncollectible') AND invoice.due_date < $3
             AND CASE COALESCE(last.status, 'failed')
                 WHEN 'unknown' THEN true
                 WHEN 'requires_action' THEN last.confirm_until <= $1
                 WHEN 'failed' THEN
                     (active.id IS NOT NULL AND (active.id IS DISTINCT FROM tried.payment_method_id
                                                 OR active.renewed_at > tried.created_at))
                     OR (invoice.status = 'open' AND (
                         invoice.next_attempt_at < $3 OR invoice.first_failed_at IS NULL
                         OR invoice.first_failed_at < $5))
                 ELSE false END
           ORDER BY invoice.due_date, invoice.id"#,
        as_of,
        correlation_id.as_ref(),
        today.due_before,
        now,
        today.failed_before,
    )
    .execute(connection)
    .await?;
    Ok(published.rows_affected())
}
