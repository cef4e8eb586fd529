//! Withdrawals that wait, with what an operator decides by.

use chrono::{DateTime, Utc};
use domain::funded::FundedAccountStatus;
use domain::funded::share::Share;
use domain::ids::{FundedAccountId, TierId, UserId, WithdrawalId};
use platform::pagination::PageRequest;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

platform::list! {
    /// The withdrawals that wait for a decision, oldest first.
    pub PendingWithdrawalList: WithdrawalId = "pending-withdrawals"
}

/// A withdrawal that waits, its trader, account and history.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: WithdrawalId,
    pub(super) amount_cents: i64,
    pub(super) gross_cents: i64,
    pub(super) requested_at: DateTime<Utc>,
    pub(super) review_reasons: Json<Vec<String>>,
    pub(super) user_id: UserId,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) country: String,
    pub(super) bank_last4: Option<String>,
    pub(super) bank_since: Option<DateTime<Utc>>,
    pub(super) funded_account_id: FundedAccountId,
    pub(super) tier_id: TierId,
    pub(super) account_status: FundedAccountStatus,
    pub(super) activated_at: DateTime<Utc>,
    pub(super) profit_split: Share,
    pub(super) starting_balance_cents: i64,
    pub(super) current_balance_cents: i64,
    pub(super) used_up_cents: i64,
    pub(super) completed: i64,
    pub(super) completed_cents: i64,
    pub(super) last_completed_at: Option<DateTime<Utc>>,
    pub(super) rejected: i64,
    pub(super) failed: i64,
    pub(super) canceled: i64,
}

/// The withdrawals of a page that wait, the oldest first, with the one behind it. The history is that of the trader, over all
/// accounts.
pub(super) async fn pending(
    connection: &mut PgConnection,
    page: &PageRequest<PendingWithdrawalList>,
) -> Result<Vec<Pending>, Error> {
    let pending = sqlx::query_as!(
        Pending,
        r#"SELECT withdrawal.id AS "id!: _", withdrawal.amount_cents AS "amount_cents!",
               withdrawal.gross_cents AS "gross_cents!", withdrawal.requested_at AS "requested_at!",
               review_reasons AS "review_reasons!: _", withdrawal.user_id AS "user_id!: _", email AS "email!",
               first_name AS "first_name!", last_name AS "last_name!", traders.country AS "country!", bank_last4, bank_since,
               withdrawal.funded_account_id AS "funded_account_id!: _", tier_id AS "tier_id!: _",
               account.status AS "account_status!: _", activated_at AS "activated_at!",
               account.profit_split AS "profit_split!: _", record.starting_balance_cents AS "starting_balance_cents!",
               current_balance_cents AS "current_balance_cents!", history.used_up_cents AS "used_up_cents!",
               history.completed AS "completed!", history.completed_cents AS "completed_cents!", history.last_completed_at,
               history.rejected AS "rejected!", history.failed AS "failed!", history.canceled AS "canceled!"
           FROM withdrawals AS withdrawal
           JOIN traders ON traders.user_id = withdrawal.user_id
           JOIN funded_accounts AS account ON account.id = withdrawal.funded_account_id
           JOIN funded_virtual_accounts AS record ON record.funded_account_id = account.id
           LEFT JOIN payees ON payees.user_id = withdrawal.user_id
           CROSS JOIN LATERAL (
               SELECT COALESCE(SUM(gross_cents) FILTER (WHERE other.funded_account_id = account.id
                          AND status IN ('pending', 'approved', 'completed')), 0)::BIGINT AS used_up_cents,
                      COUNT(*) FILTER (WHERE status = 'completed') AS completed,
                      COALESCE(SUM(amount_cents) FILTER (WHERE status = 'completed'), 0)::BIGINT AS completed_cents,
                      MAX(completed_at) AS last_completed_at,
                      COUNT(*) FILTER (WHERE status = 'rejected') AS rejected,
                      COUNT(*) FILTER (WHERE status = 'failed') AS failed,
                      COUNT(*) FILTER (WHERE status = 'canceled') AS canceled
               FROM withdrawals AS other WHERE other.user_id = withdrawal.user_id AND other.id <> withdrawal.id
           ) AS history
           WHERE withdrawal.status = 'pending' AND ($1::BIGINT IS NULL OR withdrawal.id > $1)
           ORDER BY withdrawal.id LIMIT $2"#,
        page.after.map(|after| after.get()),
        page.rows(),
    );
    Ok(pending.fetch_all(connection).await?)
}
