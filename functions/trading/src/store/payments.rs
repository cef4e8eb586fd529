//! Deposits and redemptions as DriveWealth tells them.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthUserId, MoneyFlowId};
use domain::money::Money;
use domain::trading::money_flow::Direction;
use domain::trading::payment::PaymentStatus;
use platform::error::PlatformError;
use providers::drivewealth::{Payment, payment_status};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{id, money};

/// The newest that is known of a payment.
#[derive(Debug)]
pub(crate) struct KnownPayment {
    pub(crate) money_flow_id: Option<MoneyFlowId>,
    pub(crate) amount: Money,
    pub(crate) account_id: Option<String>,
    pub(crate) status: PaymentStatus,
}

/// A payment that is stored, for comparison with what the broker lists.
#[derive(Debug)]
pub(crate) struct StoredPayment {
    pub(crate) ref_id: String,
    pub(crate) is_linked: bool,
    pub(crate) status_code: i32,
}

/// Both tables have the same columns; the macro checks the statement against each.
macro_rules! keep_newest {
    ($connection:expr, $payment:expr, $flow:expr, $table:tt) => {{
        let row = sqlx::query!(
            "INSERT INTO " + $table + " AS known (ref_id, drivewealth_account_id, money_flow_id, amount_cents, \
                currency, status_code, status_message, status_comment, status_updated_at, finality, raw_data) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (ref_id) DO UPDATE SET \
                drivewealth_account_id = COALESCE(known.drivewealth_account_id, EXCLUDED.drivewealth_account_id), \
                money_flow_id = COALESCE(known.money_flow_id, EXCLUDED.money_flow_id), \
                status_code = CASE WHEN (EXCLUDED.finality, EXCLUDED.status_updated_at) \
                    > (known.finality, known.status_updated_at) THEN EXCLUDED.status_code ELSE known.status_code END, \
                status_message = CASE WHEN (EXCLUDED.finality, EXCLUDED.status_updated_at) \
                    > (known.finality, known.status_updated_at) THEN EXCLUDED.status_message \
                    ELSE known.status_message END, \
                status_comment = CASE WHEN (EXCLUDED.finality, EXCLUDED.status_updated_at) \
                    > (known.finality, known.status_updated_at) THEN EXCLUDED.status_comment \
                    ELSE known.status_comment END, \
                raw_data = CASE WHEN (EXCLUDED.finality, EXCLUDED.status_updated_at) \
                    > (known.finality, known.status_updated_at) THEN EXCLUDED.raw_data ELSE known.raw_data END, \
                status_updated_at = CASE WHEN (EXCLUDED.finality, EXCLUDED.status_updated_at) \
                    > (known.finality, known.status_updated_at) THEN EXCLUDED.status_updated_at \
                    ELSE known.status_updated_at END, \
                finality = GREATEST(known.finality, EXCLUDED.finality), \
                updated_at = now() \
             RETURNING money_flow_id, amount_cents, currency, status_code, drivewealth_account_id",
            $payment.id.as_str(),
            $payment.account_id.as_ref().map(|id| id.as_str()),
            $flow.map(|flow: MoneyFlowId| flow.get()),
            $payment.amount.minor(),
            $payment.amount.currency().code(),
            $payment.status_code,
            $payment.status_message,
            $payment.status_comment,
            $payment.status_updated_at,
            $payment.status.finality(),
            Json(&*$payment.raw) as _,
        )
        .fetch_one($connection)
        .await?;
        Ok(KnownPayment {
            money_flow_id: row.money_flow_id.map(id).transpose()?,
            amount: money(row.amount_cents, &row.currency)?,
            account_id: row.drivewealth_account_id,
            status: payment_status(row.status_code),
        })
    }};
}

/// Keeps what was told, unless something newer or more final is known; links the payment to its flow where that is
/// known. The payment's row is locked until the transaction ends: payments are locked before flows.
pub(crate) async fn keep_newest(
    connection: &mut PgConnection,
    direction: Direction,
    payment: &Payment,
    flow: Option<MoneyFlowId>,
) -> Result<KnownPayment, PlatformError> {
    match direction {
        Direction::Deposit => keep_newest!(connection, payment, flow, "drivewealth_deposits"),
        Direction::Withdrawal => keep_newest!(connection, payment, flow, "drivewealth_redemptions"),
    }
}

/// The payments that are stored under the given ids.
pub(crate) async fn stored(
    connection: &mut PgConnection,
    direction: Direction,
    ref_ids: &[String],
) -> Result<Vec<StoredPayment>, PlatformError> {
    let rows = sqlx::query_as!(
        StoredPayment,
        r#"SELECT ref_id AS "ref_id!", money_flow_id IS NOT NULL AS "is_linked!", status_code AS "status_code!"
           FROM (SELECT ref_id, money_flow_id, status_code FROM drivewealth_deposits WHERE $2
                 UNION ALL
                 SELECT ref_id, money_flow_id, status_code FROM drivewealth_redemptions WHERE NOT $2) AS payments
           WHERE ref_id = ANY($1)"#,
        ref_ids,
        direction == Direction::Deposit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Users with flows that are open, or settled since `since` and so possibly returned.
pub(crate) async fn users_to_reconcile(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<DriveWealthUserId>, PlatformError> {
    let users = sqlx::query_scalar!(
        "SELECT DISTINCT drivewealth_users.ref_id FROM trading_money_flow \
         JOIN drivewealth_users USING (profile_id) \
         WHERE trading_money_flow.status IN ('pending', 'approved') OR settled_at >= $1 \
         ORDER BY drivewealth_users.ref_id",
        since,
    )
    .fetch_all(connection)
    .await?;
    users
        .iter()
        .map(|user| {
            DriveWealthUserId::parse(user).map_err(|_| PlatformError::Stored("drivewealth_users.ref_id"))
        })
        .collect()
}
