//! Commissions that were paid.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{InvoiceId, InvoicePaymentId, ProfileId};
use domain::money::Money;
use sqlx::PgConnection;

use super::{id, money};
use crate::Error;

/// A commission that was paid.
#[derive(Debug, Clone)]
pub(crate) struct Paid {
    pub(crate) id: InvoicePaymentId,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) amount: Money,
    pub(crate) refunded_cents: i64,
    pub(crate) period_start: NaiveDate,
    pub(crate) period_end: NaiveDate,
    pub(crate) method_name: String,
    pub(crate) charged_at: DateTime<Utc>,
}

/// What was paid in a calendar year of New York.
#[derive(Debug, Clone)]
pub(crate) struct YearTotal {
    pub(crate) year: i32,
    pub(crate) currency: String,
    pub(crate) amount_cents: i64,
    pub(crate) refunded_cents: i64,
}

/// The profile's payments before the id `before`, newest first.
pub(crate) async fn page(
    connection: &mut PgConnection,
    profile: ProfileId,
    before: i64,
    limit: i64,
) -> Result<Vec<Paid>, Error> {
    let rows = sqlx::query!(
        r#"SELECT payment.id, payment.invoice_id, payment.amount_cents, payment.currency, payment.refunded_cents,
                  invoice.period_start, invoice.period_end, method.name AS method_name,
                  payment.finished_at AS "charged_at!"
           FROM invoice_payments AS payment
           JOIN invoices AS invoice ON invoice.id = payment.invoice_id
           JOIN payment_methods AS method ON method.id = payment.payment_method_id
           WHERE payment.profile_id = $1 AND payment.status = 'succeeded' AND payment.id < $2
           ORDER BY payment.id DESC LIMIT $3"#,
        profile.get(),
        before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Paid {
                id: id(row.id)?,
                invoice_id: id(row.invoice_id)?,
                amount: money(row.amount_cents, &row.currency)?,
                refunded_cents: row.refunded_cents,
                period_start: row.period_start,
                period_end: row.period_end,
                method_name: row.method_name,
                charged_at: row.charged_at,
            })
        })
        .collect()
}

/// What the profile paid in each year, the latest first.
pub(crate) async fn totals(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Vec<YearTotal>, Error> {
    let totals = sqlx::query_as!(
        YearTotal,
        r#"SELECT extract(year FROM finished_at AT TIME ZONE 'America/New_York')::INTEGER AS "year!", currency,
                  sum(amount_cents)::BIGINT AS "amount_cents!", sum(refunded_cents)::BIGINT AS "refunded_cents!"
           FROM invoice_payments WHERE profile_id = $1 AND status = 'succeeded'
           GROUP BY 1, 2 ORDER BY 1 DESC, 2"#,
        profile.get(),
    )
    .fetch_all(connection)
    .await?;
    Ok(totals)
}
