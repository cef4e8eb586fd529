//! Deposits and redemptions as DriveWealth tells them.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthUserId, MoneyFlowId};
use domain::money::Money;
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use domain::trading::payment::PaymentStatus;
use platform::error::PlatformError;
use providers::drivewealth::{Freshness, Payment, payment_status};
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
    /// What was told just now is that the bank has taken it back.
    pub(crate) is_newly_returned: bool,
}

/// A payment that is stored, for comparison with what the broker lists.
#[derive(Debug)]
pub(crate) struct StoredPayment {
    pub(crate) ref_id: String,
    pub(crate) status_code: i32,
    pub(crate) amount: Money,
    /// It was stored before the broker was asked for its list.
    pub(crate) is_older: bool,
    /// Where its flow stands; none when no flow of ours made it.
    pub(crate) flow: Option<(MoneyFlowStatus, ProviderState)>,
}

struct StoredRow {
    ref_id: String,
    status_code: i32,
    amount_cents: i64,
    currency: String,
    is_older: bool,
    flow_status: Option<String>,
    provider_state: Option<String>,
}

impl TryFrom<StoredRow> for StoredPayment {
    type Error = PlatformError;

    fn try_from(row: StoredRow) -> Result<Self, PlatformError> {
        let flow = match row.flow_status.as_deref().zip(row.provider_state.as_deref()) {
            None => None,
            Some((status, state)) => Some((
                MoneyFlowStatus::parse(status).ok_or(PlatformError::Stored("status"))?,
                ProviderState::parse(state).ok_or(PlatformError::Stored("provider_state"))?,
            )),
        };
        Ok(Self {
            ref_id: row.ref_id,
            status_code: row.status_code,
            amount: money(row.amount_cents, &row.currency)?,
            is_older: row.is_older,
            flow,
        })
    }
}

impl StoredPayment {
    /// Whether all that is stored, the flow with it, is what the broker says. A parked flow waits for a person, who
    /// knows already.
    pub(crate) fn agrees(&self, payment: &Payment) -> bool {
        let is_same = self.status_code == payment.status_code && self.amount == payment.amount;
        let told = MoneyFlowStatus::told_by(payment.status);
        match self.flow {
            Some((_, ProviderState::Parked)) => true,
            Some((status, _)) => is_same && told.is_none_or(|told| told == status),
            None => is_same,
        }
    }
}

/// Both tables have the same columns; the macro checks the statements against each.
macro_rules! keep_newest {
    ($connection:expr, $payment:expr, $flow:expr, $table:tt) => {{
        let before = sqlx::query!(
            "INSERT INTO " + $table + " AS known (ref_id, drivewealth_account_id, money_flow_id, amount_cents, \
                currency, status_code, status_message, status_comment, status_updated_at, finality, raw_data) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (ref_id) DO UPDATE SET \
                drivewealth_account_id = COALESCE(known.drivewealth_account_id, EXCLUDED.drivewealth_account_id), \
                money_flow_id = COALESCE(known.money_flow_id, EXCLUDED.money_flow_id) \
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
        .fetch_one(&mut *$connection)
        .await?;
        let replaced = sqlx::query!(
            "UPDATE " + $table + " SET status_code = $2, status_message = $3, status_comment = $4, \
                status_updated_at = $5, finality = $6, raw_data = $7, updated_at = now() \
             WHERE ref_id = $1 AND ((finality, status_updated_at) < ($6, $5) \
                OR $8 AND (finality, status_updated_at) = ($6, $5))",
            $payment.id.as_str(),
            $payment.status_code,
            $payment.status_message,
            $payment.status_comment,
            $payment.status_updated_at,
            $payment.status.finality(),
            Json(&*$payment.raw) as _,
            $payment.freshness == Freshness::Current,
        )
        .execute(&mut *$connection)
        .await?;
        let status_before = payment_status(before.status_code);
        let status = if replaced.rows_affected() == 1 {
            $payment.status
        } else {
            status_before
        };
        Ok(KnownPayment {
            money_flow_id: before.money_flow_id.map(id).transpose()?,
            amount: money(before.amount_cents, &before.currency)?,
            account_id: before.drivewealth_account_id,
            status,
            is_newly_returned: status == PaymentStatus::Returned && status != status_before,
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

/// Payments that are stored before `asked_at`: those under the given ids, and those of the user's flows which are open,
/// or settled since `since`.
pub(crate) async fn stored(
    connection: &mut PgConnection,
    direction: Direction,
    ref_ids: &[String],
    user: &DriveWealthUserId,
    since: DateTime<Utc>,
    asked_at: DateTime<Utc>,
) -> Result<Vec<StoredPayment>, PlatformError> {
    let rows = sqlx::query_as!(
        StoredRow,
        r#"WITH own AS (
               SELECT id FROM trading_money_flow JOIN drivewealth_users USING (profile_id)
               WHERE drivewealth_users.ref_id = $3
                 AND (trading_money_flow.status IN ('pending', 'approved') OR settled_at >= $4)
           ), payments AS (
               SELECT ref_id, money_flow_id, status_code, amount_cents, currency, created_at
               FROM drivewealth_deposits
               WHERE $2 AND (ref_id = ANY($1) OR money_flow_id = ANY(ARRAY(SELECT id FROM own)))
               UNION ALL
               SELECT ref_id, money_flow_id, status_code, amount_cents, currency, created_at
               FROM drivewealth_redemptions
               WHERE NOT $2 AND (ref_id = ANY($1) OR money_flow_id = ANY(ARRAY(SELECT id FROM own)))
           )
           SELECT payments.ref_id AS "ref_id!", payments.status_code AS "status_code!",
                  payments.amount_cents AS "amount_cents!", payments.currency AS "currency!",
                  payments.created_at < $5 AS "is_older!",
                  flow.status AS "flow_status?", flow.provider_state AS "provider_state?"
           FROM payments LEFT JOIN trading_money_flow AS flow ON flow.id = payments.money_flow_id"#,
        ref_ids,
        direction == Direction::Deposit,
        user.as_str(),
        since,
        asked_at,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(StoredPayment::try_from).collect()
}

/// Users with flows that are open, or settled since `since` and so possibly returned: those who were looked at longest
/// ago first.
pub(crate) async fn users_to_reconcile(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<DriveWealthUserId>, PlatformError> {
    let users = sqlx::query_scalar!(
        "SELECT ref_id FROM drivewealth_users \
         WHERE profile_id IN (SELECT profile_id FROM trading_money_flow \
                              WHERE status IN ('pending', 'approved') OR settled_at >= $1) \
         ORDER BY reconciled_at NULLS FIRST, ref_id LIMIT $2",
        since,
        limit,
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

/// Notes that the user was looked at.
pub(crate) async fn set_reconciled(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
) -> Result<(), PlatformError> {
    sqlx::query!(
        "UPDATE drivewealth_users SET reconciled_at = now() WHERE ref_id = $1",
        user.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
