//! Flows whose look-up is due, and what is stored of a user's payments.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{DriveWealthAccountId, DriveWealthUserId, MoneyFlowId};
use domain::money::Money;
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use sqlx::PgConnection;

use crate::Error;

/// Claims the flow whose look-up is due for the longest time: counts the look-up and puts the next one off to `next_at`, so
/// that two copies of the job don't look the same one up. One at a time: a flow that a run doesn't come to is neither
/// counted nor put off.
pub(super) async fn claim_due(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    next_at: DateTime<Utc>,
) -> Result<Option<MoneyFlowId>, Error> {
    let claimed = sqlx::query_scalar!(
        r#"UPDATE trading_money_flow SET lookups = lookups + 1, next_lookup_at = $2
           WHERE id = (SELECT id FROM trading_money_flow
                       WHERE next_lookup_at <= $1 AND (asked_until IS NULL OR asked_until <= $1)
                       ORDER BY next_lookup_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING id AS "id: MoneyFlowId""#,
        now,
        next_at,
    )
    .fetch_optional(connection)
    .await?;
    Ok(claimed)
}

/// Users with flows that are open, or settled since `since` and so possibly returned: those who were compared longest ago
/// first.
pub(super) async fn users_to_compare(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<DriveWealthUserId>, Error> {
    let users = sqlx::query_scalar!(
        r#"SELECT ref_id AS "ref_id: DriveWealthUserId" FROM drivewealth_users
           WHERE profile_id IN (SELECT profile_id FROM trading_money_flow WHERE status IN ('pending', 'approved')
                                UNION ALL SELECT profile_id FROM trading_money_flow WHERE settled_at >= $1)
           ORDER BY reconciled_at NULLS FIRST, ref_id LIMIT $2"#,
        since,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(users)
}

/// Records that the user was compared, with success or without.
pub(super) async fn set_compared(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_users SET reconciled_at = $2 WHERE ref_id = $1",
        user as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The account of a DriveWealth user.
pub(super) async fn account_of(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
) -> Result<Option<DriveWealthAccountId>, Error> {
    let account = sqlx::query_scalar!(
        r#"SELECT ref_id AS "ref_id: DriveWealthAccountId" FROM drivewealth_accounts
           WHERE drivewealth_user_id = $1 ORDER BY ref_id LIMIT 1"#,
        user as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(account)
}

/// A payment that is stored, for comparison with the broker's list.
#[derive(Debug)]
pub(super) struct StoredPayment {
    pub(super) ref_id: String,
    pub(super) status_code: i32,
    pub(super) amount_cents: i64,
    pub(super) currency: Currency,
    pub(super) created_at: DateTime<Utc>,
    pub(super) flow_status: Option<MoneyFlowStatus>,
    pub(super) provider_state: Option<ProviderState>,
}

impl StoredPayment {
    pub(super) fn amount(&self) -> Money {
        Money::new(self.amount_cents, self.currency)
    }

    /// The state of its flow; none when no flow of ours made it.
    pub(super) fn flow(&self) -> Option<(MoneyFlowStatus, ProviderState)> {
        self.flow_status.zip(self.provider_state)
    }
}

/// Stored payments: those under the given ids, and those of the user's flows which are open, or settled since `since`.
pub(super) async fn payments(
    connection: &mut PgConnection,
    direction: Direction,
    ref_ids: &[String],
    user: &DriveWealthUserId,
    since: DateTime<Utc>,
) -> Result<Vec<StoredPayment>, Error> {
    let payments = sqlx::query_as!(
        StoredPayment,
        r#"WITH own AS (
               SELECT flow.id FROM drivewealth_users JOIN trading_accounts USING (profile_id)
                 JOIN trading_money_flow AS flow ON flow.trading_account_id = trading_accounts.id
               WHERE drivewealth_users.ref_id = $3 AND flow.status IN ('pending', 'approved')
               UNION
               SELECT flow.id FROM drivewealth_users JOIN trading_money_flow AS flow USING (profile_id)
               WHERE drivewealth_users.ref_id = $3 AND flow.settled_at >= $4
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
                  payments.amount_cents AS "amount_cents!", payments.currency AS "currency!: _",
                  payments.created_at AS "created_at!",
                  flow.status AS "flow_status?: _", flow.provider_state AS "provider_state?: _"
           FROM payments LEFT JOIN trading_money_flow AS flow ON flow.id = payments.money_flow_id"#,
        ref_ids,
        direction == Direction::Deposit,
        user as _,
        since,
    )
    .fetch_all(connection)
    .await?;
    Ok(payments)
}
