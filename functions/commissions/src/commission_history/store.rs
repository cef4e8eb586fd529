//! Successful charges, as their profile sees them.

use domain::ids::{ChargeId, ProfileId};
use sqlx::PgConnection;

use super::view::{PaidCommissionView, YearTotalView};
use crate::Error;

/// The profile's successful charges before the one of id `before`, newest first.
pub(crate) async fn page(
    connection: &mut PgConnection,
    profile: ProfileId,
    before: Option<ChargeId>,
    rows: i64,
) -> Result<Vec<PaidCommissionView>, Error> {
    let paid = sqlx::query_as!(
        PaidCommissionView,
        r#"SELECT payment.id AS "charge_id: _", payment.invoice_id AS "invoice_id: _", payment.amount_cents,
                  payment.refunded_cents, payment.currency, invoice.period_start, invoice.period_end,
                  method.name AS payment_method, payment.finished_at AS "charged_at!"
           FROM invoice_payments AS payment
           JOIN invoices AS invoice ON invoice.id = payment.invoice_id
           JOIN payment_methods AS method ON method.id = payment.payment_method_id
           WHERE payment.profile_id = $1 AND payment.status = 'succeeded'
             AND payment.id < COALESCE($2::BIGINT, 9223372036854775807)
           ORDER BY payment.id DESC LIMIT $3"#,
        profile as _,
        before as _,
        rows,
    )
    .fetch_all(connection)
    .await?;
    Ok(paid)
}

/// What the profile paid in each calendar year of New York, the latest first.
pub(crate) async fn totals(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Vec<YearTotalView>, Error> {
    let totals = sqlx::query_as!(
        YearTotalView,
        r#"SELECT extract(year FROM finished_at AT TIME ZONE 'America/New_York')::INTEGER AS "year!", currency,
                  sum(amount_cents)::BIGINT AS "amount_cents!", sum(refunded_cents)::BIGINT AS "refunded_cents!"
           FROM invoice_payments WHERE profile_id = $1 AND status = 'succeeded'
           GROUP BY 1, 2 ORDER BY 1 DESC, 2"#,
        profile as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(totals)
}
