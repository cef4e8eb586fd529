//! Deposits and redemptions as DriveWealth reports them.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{DriveWealthPaymentId, MoneyFlowId};
use domain::money::Money;
use domain::trading::money_flow::Direction;
use domain::trading::payment::PaymentStatus;
use providers::drivewealth::{Freshness, Payment, payment_status};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// The newest that is known of a payment.
#[derive(Debug)]
pub(crate) struct KnownPayment {
    pub(crate) money_flow_id: Option<MoneyFlowId>,
    pub(crate) amount: Money,
    pub(crate) account_id: Option<String>,
    pub(crate) status: PaymentStatus,
    /// It was known before, and this report is the first that says the bank has taken it back.
    pub(crate) is_newly_returned: bool,
}

/// Both tables have the same columns; the macro checks the statements against each.
macro_rules! upsert_newest {
    ($connection:expr, $payment:expr, $flow:expr, $now:expr, $table:tt) => {{
        let known = sqlx::query!(
            "INSERT INTO " + $table + r#" AS known (ref_id, drivewealth_account_id, money_flow_id, amount_cents,
                currency, status_code, status_message, status_comment, status_updated_at, finality, raw_data,
                created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
             ON CONFLICT (ref_id) DO UPDATE SET
                drivewealth_account_id = COALESCE(known.drivewealth_account_id, EXCLUDED.drivewealth_account_id),
                money_flow_id = COALESCE(known.money_flow_id, EXCLUDED.money_flow_id)
             RETURNING money_flow_id AS "money_flow_id: MoneyFlowId", amount_cents, currency AS "currency: Currency",
                status_code, drivewealth_account_id, xmax = 0 AS "is_new!""#,
            &$payment.id as _,
            $payment.account_id.as_ref() as _,
            $flow as _,
            $payment.amount.minor(),
            $payment.amount.currency() as _,
            $payment.status_code,
            $payment.status_message,
            $payment.status_comment,
            $payment.status_updated_at,
            $payment.status.finality(),
            Json(&*$payment.kept) as _,
            $now,
        )
        .fetch_one(&mut *$connection)
        .await?;
        let status_before = payment_status(known.status_code);
        // A row that was just inserted is this report already. Its xmax is 0; that of one which ON CONFLICT has locked and
        // updated is this transaction.
        let is_replaced = !known.is_new && {
            let replaced = sqlx::query!(
                "UPDATE " + $table + " SET status_code = $2, status_message = $3, status_comment = $4, \
                    status_updated_at = $5, finality = $6, raw_data = $7, updated_at = $9 \
                 WHERE ref_id = $1 AND ((finality, status_updated_at) < ($6, $5) \
                    OR $8 AND (finality, status_updated_at) = ($6, $5))",
                &$payment.id as _,
                $payment.status_code,
                $payment.status_message,
                $payment.status_comment,
                $payment.status_updated_at,
                $payment.status.finality(),
                Json(&*$payment.kept) as _,
                $payment.freshness == Freshness::Current,
                $now,
            )
            .execute(&mut *$connection)
            .await?;
            replaced.rows_affected() == 1
        };
        let status = if is_replaced { $payment.status } else { status_before };
        Ok(KnownPayment {
            money_flow_id: known.money_flow_id,
            amount: Money::new(known.amount_cents, known.currency),
            account_id: known.drivewealth_account_id,
            status,
            is_newly_returned: status == PaymentStatus::Returned && status != status_before,
        })
    }};
}

/// Saves the report, unless something newer or more final is known; links the payment to its flow where that is known.
/// The payment's row is locked until the transaction ends: payments are locked before flows.
pub(crate) async fn upsert_newest(
    connection: &mut PgConnection,
    direction: Direction,
    payment: &Payment,
    flow: Option<MoneyFlowId>,
    now: DateTime<Utc>,
) -> Result<KnownPayment, Error> {
    match direction {
        Direction::Deposit => upsert_newest!(connection, payment, flow, now, "drivewealth_deposits"),
        Direction::Withdrawal => upsert_newest!(connection, payment, flow, now, "drivewealth_redemptions"),
    }
}

/// Links a payment of the broker's that belongs to no flow to one; `false` when there is no such payment, or it is another's.
pub(crate) async fn link(
    connection: &mut PgConnection,
    direction: Direction,
    payment: &DriveWealthPaymentId,
    flow: MoneyFlowId,
) -> Result<bool, Error> {
    let linked = match direction {
        Direction::Deposit => {
            sqlx::query!(
                "UPDATE drivewealth_deposits SET money_flow_id = $2 \
                 WHERE ref_id = $1 AND (money_flow_id IS NULL OR money_flow_id = $2)",
                payment as _,
                flow as _,
            )
            .execute(connection)
            .await?
        }
        Direction::Withdrawal => {
            sqlx::query!(
                "UPDATE drivewealth_redemptions SET money_flow_id = $2 \
                 WHERE ref_id = $1 AND (money_flow_id IS NULL OR money_flow_id = $2)",
                payment as _,
                flow as _,
            )
            .execute(connection)
            .await?
        }
    };
    Ok(linked.rows_affected() == 1)
}

/// Whether a redemption waits for an approval that we may give: it belongs to a flow of ours which is under way.
pub(crate) async fn may_be_approved(
    connection: &mut PgConnection,
    redemption: &DriveWealthPaymentId,
) -> Result<bool, Error> {
    let may_be = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM drivewealth_redemptions
               JOIN trading_money_flow ON trading_money_flow.id = drivewealth_redemptions.money_flow_id
               WHERE drivewealth_redemptions.ref_id = $1 AND trading_money_flow.provider_state = 'accepted'
                 AND trading_money_flow.status IN ('pending', 'approved')) AS "may_be!""#,
        redemption as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(may_be)
}
