//! `withdrawals`, as their traders ask for them and see them.

use chrono::{DateTime, Utc};
use domain::funded::share::Share;
use domain::funded::withdrawal::{ReviewReason, WithdrawalStatus};
use domain::ids::{FundedAccountId, StripeBankAccountId, UserId, WithdrawalId};
use platform::pagination::PageRequest;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::row::Withdrawal;
use crate::Error;

platform::list! {
    /// The withdrawals of an account, newest first.
    pub WithdrawalList: WithdrawalId = "withdrawals"
}

/// A withdrawal to be written.
#[derive(Debug)]
pub(super) struct NewWithdrawal {
    pub(super) account: FundedAccountId,
    pub(super) user: UserId,
    pub(super) amount_cents: i64,
    pub(super) gross_cents: i64,
    pub(super) profit_split: Share,
    pub(super) status: WithdrawalStatus,
    pub(super) reasons: Vec<ReviewReason>,
    /// Where the trader is paid now.
    pub(super) bank: Option<StripeBankAccountId>,
}

/// A query of withdrawals: what stands behind their owners, and the values.
macro_rules! query_withdrawals {
    ($behind:literal, $($value:expr),+ $(,)?) => {
        sqlx::query_as!(
            Withdrawal,
            r#"SELECT withdrawal.id AS "id: _", funded_account_id AS "funded_account_id: _",
                withdrawal.user_id AS "user_id: _", traders.profile_id AS "profile_id: _", amount_cents, gross_cents,
                status AS "status: _", review_reasons AS "review_reasons: _", requested_at,
                approved_at, reviewed_by, completed_at, paid_at, rejected_at, failed_at, canceled_at, arrives_at,
                returned_at, rejection_reason, failure_code
             FROM withdrawals AS withdrawal JOIN traders ON traders.user_id = withdrawal.user_id WHERE "# + $behind,
            $($value),+
        )
    };
}

/// Has everybody else who asks for this trader's withdrawals, or changes them, wait for the end of the transaction.
pub(crate) async fn lock_trader(connection: &mut PgConnection, user: UserId) -> Result<(), Error> {
    sqlx::query!(
        "SELECT 1 AS one FROM traders WHERE user_id = $1 FOR UPDATE",
        user as _
    )
    .fetch_optional(connection)
    .await?;
    Ok(())
}

/// Has an account's closure wait for the end of the transaction: it finds what is written here, and rejects it.
pub(super) async fn hold_account(connection: &mut PgConnection, id: FundedAccountId) -> Result<(), Error> {
    sqlx::query!(
        "SELECT 1 AS one FROM funded_accounts WHERE id = $1 FOR SHARE",
        id as _
    )
    .fetch_optional(connection)
    .await?;
    Ok(())
}

/// A withdrawal.
pub(crate) async fn find(
    connection: &mut PgConnection,
    id: WithdrawalId,
) -> Result<Option<Withdrawal>, Error> {
    let withdrawal = query_withdrawals!("withdrawal.id = $1", id as _);
    Ok(withdrawal.fetch_optional(connection).await?)
}

/// A withdrawal that nobody else changes before the end of the transaction.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    id: WithdrawalId,
) -> Result<Option<Withdrawal>, Error> {
    let Some(found) = find(connection, id).await? else {
        return Ok(None);
    };
    lock_trader(connection, found.user_id).await?;
    find(connection, id).await
}

/// The account's withdrawals of a page, newest first, with the one behind it.
pub(super) async fn list(
    connection: &mut PgConnection,
    account: FundedAccountId,
    page: &PageRequest<WithdrawalList>,
) -> Result<Vec<Withdrawal>, Error> {
    let withdrawals = query_withdrawals!(
        "funded_account_id = $1 AND ($2::BIGINT IS NULL OR withdrawal.id < $2) ORDER BY withdrawal.id DESC LIMIT $3",
        account as _,
        page.after.map(|after| after.get()),
        page.rows(),
    );
    Ok(withdrawals.fetch_all(connection).await?)
}

/// Writes a withdrawal that a trader has asked for.
pub(super) async fn insert(
    connection: &mut PgConnection,
    new: &NewWithdrawal,
    now: DateTime<Utc>,
) -> Result<WithdrawalId, Error> {
    let is_approved = new.status == WithdrawalStatus::Approved;
    let approved_at = is_approved.then_some(now);
    let judged_bank = new.bank.as_ref().filter(|_| is_approved);
    let id = sqlx::query_scalar!(
        r#"INSERT INTO withdrawals (funded_account_id, user_id, amount_cents, gross_cents, profit_split, status,
               review_reasons, requested_at, approved_at, next_step_at, judged_bank_account_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) RETURNING id AS "id: _""#,
        new.account as _,
        new.user as _,
        new.amount_cents,
        new.gross_cents,
        new.profit_split as _,
        new.status as _,
        Json(&new.reasons) as _,
        now,
        approved_at,
        judged_bank as _,
    );
    Ok(id.fetch_one(connection).await?)
}

/// What nobody had to approve since a time, of the account and of its trader.
pub(super) async fn approved_automatically(
    connection: &mut PgConnection,
    account: FundedAccountId,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<(i64, i64), Error> {
    let sums = sqlx::query!(
        r#"SELECT COALESCE(SUM(amount_cents) FILTER (WHERE funded_account_id = $1), 0)::BIGINT AS "of_account!",
               COALESCE(SUM(amount_cents), 0)::BIGINT AS "of_user!"
           FROM withdrawals WHERE user_id = $2 AND approved_at > $3 AND reviewed_by IS NULL
               AND status IN ('approved', 'completed')"#,
        account as _,
        user as _,
        since,
    )
    .fetch_one(connection)
    .await?;
    Ok((sums.of_account, sums.of_user))
}

/// Approves a pending withdrawal, for a person's word, to be paid to this bank account.
pub(crate) async fn approve(
    connection: &mut PgConnection,
    id: WithdrawalId,
    bank: Option<&StripeBankAccountId>,
    operator: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let approved = sqlx::query!(
        "UPDATE withdrawals SET status = 'approved', approved_at = $2, reviewed_by = $3, next_step_at = $2, \
             judged_bank_account_id = $4 \
         WHERE id = $1 AND status = 'pending'",
        id as _,
        now,
        operator,
        bank as _,
    )
    .execute(&mut *connection)
    .await?;
    still(connection, id, approved.rows_affected()).await
}

/// Rejects a withdrawal whose money hasn't been released.
pub(crate) async fn reject(
    connection: &mut PgConnection,
    id: WithdrawalId,
    operator: Option<&str>,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rejected = sqlx::query!(
        "UPDATE withdrawals SET status = 'rejected', rejected_at = $2, reviewed_by = COALESCE($3, reviewed_by), \
             rejection_reason = $4, next_step_at = NULL \
         WHERE id = $1 AND status IN ('pending', 'approved') AND released_at IS NULL",
        id as _,
        now,
        operator,
        reason,
    )
    .execute(&mut *connection)
    .await?;
    still(connection, id, rejected.rows_affected()).await
}

/// Calls a pending withdrawal back.
pub(super) async fn cancel(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let canceled = sqlx::query!(
        "UPDATE withdrawals SET status = 'canceled', canceled_at = $2 WHERE id = $1 AND status = 'pending'",
        id as _,
        now,
    )
    .execute(&mut *connection)
    .await?;
    still(connection, id, canceled.rows_affected()).await
}

/// Says of a change of one withdrawal that it was made. The account's closure waits for no trader: it may have rejected it
/// meanwhile.
async fn still(connection: &mut PgConnection, id: WithdrawalId, changed: u64) -> Result<(), Error> {
    if changed == 1 {
        return Ok(());
    }
    let withdrawal = find(connection, id).await?.ok_or(Error::WithdrawalNotFound)?;
    Err(Error::WithdrawalNotPending(withdrawal.status))
}

/// Rejects what closed accounts have not released; gives what was rejected.
pub(crate) async fn reject_of_closed(
    connection: &mut PgConnection,
    accounts: &[i64],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Withdrawal>, Error> {
    let rejected = sqlx::query_as!(
        Withdrawal,
        r#"UPDATE withdrawals AS withdrawal SET status = 'rejected', rejected_at = $3, rejection_reason = $2, next_step_at = NULL
           FROM traders, funded_accounts AS account
           WHERE traders.user_id = withdrawal.user_id AND account.id = funded_account_id AND account.status = 'closed'
               AND funded_account_id = ANY($1) AND withdrawal.status IN ('pending', 'approved') AND released_at IS NULL
           RETURNING withdrawal.id AS "id: _", funded_account_id AS "funded_account_id: _",
               withdrawal.user_id AS "user_id: _", traders.profile_id AS "profile_id: _", amount_cents, gross_cents,
               withdrawal.status AS "status: _", review_reasons AS "review_reasons: _", requested_at, approved_at, reviewed_by,
               completed_at, paid_at, rejected_at, failed_at, canceled_at, arrives_at, returned_at, rejection_reason,
               failure_code"#,
        accounts,
        reason,
        now,
    );
    Ok(rejected.fetch_all(connection).await?)
}
