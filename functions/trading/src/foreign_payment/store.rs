//! Stored payments without a flow.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthPaymentId, DriveWealthUserId};
use sqlx::PgConnection;

use crate::Error;
use crate::review::ForeignPayment;

/// Those of these payments that have no flow, that nobody has accounted for, and whose amount is no flow's of unknown outcome.
pub(super) async fn unaccounted(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
    payments: &[DriveWealthPaymentId],
) -> Result<Vec<ForeignPayment>, Error> {
    let ids: Vec<String> = payments.iter().map(|id| id.as_str().to_owned()).collect();
    let foreign = sqlx::query_as!(
        ForeignPayment,
        r#"SELECT payment.ref_id AS "id!: _", users.profile_id AS "profile!: _", payment.direction AS "direction!: _",
                  payment.amount_cents AS "amount_cents!", payment.currency AS "currency!: _",
                  payment.created_at AS "first_seen_at!"
           FROM (SELECT ref_id, money_flow_id, accounted_for_at, amount_cents, currency, created_at, 'deposit' AS direction
                 FROM drivewealth_deposits WHERE ref_id = ANY($2)
                 UNION ALL
                 SELECT ref_id, money_flow_id, accounted_for_at, amount_cents, currency, created_at, 'withdrawal'
                 FROM drivewealth_redemptions WHERE ref_id = ANY($2)) AS payment
           JOIN drivewealth_users AS users ON users.ref_id = $1
           WHERE payment.money_flow_id IS NULL AND payment.accounted_for_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM trading_money_flow AS flow
                             WHERE flow.profile_id = users.profile_id AND abs(flow.amount_cents) = abs(payment.amount_cents)
                               AND flow.provider_state IN ('intended', 'unknown', 'parked'))"#,
        user as _,
        &ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(foreign)
}

/// Records that a payment without a flow needs none.
pub(super) async fn account_for(
    connection: &mut PgConnection,
    payment: &DriveWealthPaymentId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let accounted = sqlx::query_scalar!(
        r#"WITH deposits AS (
               UPDATE drivewealth_deposits SET accounted_for_at = $2
               WHERE ref_id = $1 AND money_flow_id IS NULL RETURNING 1
           ), redemptions AS (
               UPDATE drivewealth_redemptions SET accounted_for_at = $2
               WHERE ref_id = $1 AND money_flow_id IS NULL RETURNING 1
           )
           SELECT EXISTS (SELECT 1 FROM deposits UNION ALL SELECT 1 FROM redemptions) AS "accounted!""#,
        payment as _,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(accounted)
}
