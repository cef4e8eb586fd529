//! Trading accounts, their state at DriveWealth, and the profiles that own them.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{BankAccountId, DriveWealthAccountId, ProfileId, TradingAccountId};
use domain::trading::account::AccountStatus;
use providers::drivewealth::{BrokerAccount, CashBalance};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// The facts by which an account takes part in a flow, read under its lock.
#[derive(Debug)]
pub(crate) struct LockedAccount {
    pub(crate) status: AccountStatus,
    pub(crate) deposits_suspended: Option<String>,
    /// The bank account on the flow's other end isn't unlinked.
    pub(crate) is_bank_linked: bool,
}

/// Locks the account: flows of one account are accepted one after the other. Its profile is kept from being locked before, so that
/// the bank account stays as it is found here.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    account: TradingAccountId,
    bank_account: BankAccountId,
) -> Result<LockedAccount, Error> {
    let row = sqlx::query!(
        r#"SELECT drivewealth_accounts.status, profiles.deposits_suspended_reason,
                  EXISTS (SELECT 1 FROM bank_accounts
                          WHERE id = $2 AND profile_id = trading_accounts.profile_id AND deleted_at IS NULL) AS "is_bank_linked!"
           FROM trading_accounts JOIN profiles ON profiles.id = trading_accounts.profile_id
           JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           WHERE trading_accounts.id = $1 FOR UPDATE OF trading_accounts"#,
        account as _,
        bank_account as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(LockedAccount {
        status: AccountStatus::parse(&row.status),
        deposits_suspended: row.deposits_suspended_reason,
        is_bank_linked: row.is_bank_linked,
    })
}

/// Saves the account's cash, unless a newer figure is known. `as_of` is when the broker was asked for it, by the clock of
/// the instance that asked: see README, Time.
pub(crate) async fn save_cash(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    cash: &CashBalance,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_accounts SET cash_balance_cents = $2, cash_available_for_trade_cents = $3, \
         cash_available_for_withdrawal_cents = $4, balances_as_of = $5 \
         FROM drivewealth_accounts \
         WHERE drivewealth_accounts.trading_account_id = trading_accounts.id AND drivewealth_accounts.ref_id = $1 \
           AND (balances_as_of IS NULL OR balances_as_of < $5)",
        account as _,
        cash.balance.minor(),
        cash.available_for_trade.minor(),
        cash.available_for_withdrawal.minor(),
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Suspends the profile's deposits; a suspension that stands keeps its reason and its time, and gives `false`.
pub(crate) async fn suspend_deposits(
    connection: &mut PgConnection,
    profile: ProfileId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let suspended = sqlx::query!(
        "UPDATE profiles SET deposits_suspended_at = $3, deposits_suspended_reason = $2 \
         WHERE id = $1 AND deposits_suspended_at IS NULL",
        profile as _,
        reason,
        now,
    )
    .execute(connection)
    .await?;
    Ok(suspended.rows_affected() == 1)
}

/// Ends the suspension of the profile's deposits; `false` when there is none.
pub(crate) async fn resume_deposits(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<bool, Error> {
    let resumed = sqlx::query!(
        "UPDATE profiles SET deposits_suspended_at = NULL, deposits_suspended_reason = NULL \
         WHERE id = $1 AND deposits_suspended_at IS NOT NULL",
        profile as _,
    )
    .execute(connection)
    .await?;
    Ok(resumed.rows_affected() == 1)
}

/// An account whose state at the broker was saved.
#[derive(Debug)]
pub(crate) struct SavedState {
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) profile_id: ProfileId,
    /// It is open now for the first time.
    pub(crate) is_newly_open: bool,
    /// Its state is another than before.
    pub(crate) has_changed: bool,
}

/// Saves the account's state, unless a newer one is known. `None` for an account that isn't ours.
pub(crate) async fn save_state(
    connection: &mut PgConnection,
    account: &BrokerAccount,
) -> Result<Option<SavedState>, Error> {
    let before = sqlx::query!(
        r#"SELECT drivewealth_accounts.status,
                  drivewealth_accounts.trading_account_id AS "trading_account_id: TradingAccountId",
                  trading_accounts.profile_id AS "profile_id: ProfileId", trading_accounts.opened_at
           FROM drivewealth_accounts
           JOIN trading_accounts ON trading_accounts.id = drivewealth_accounts.trading_account_id
           WHERE ref_id = $1 FOR UPDATE"#,
        &account.id as _,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(before) = before else { return Ok(None) };
    let status = account.status.to_string();
    let updated = sqlx::query!(
        "UPDATE drivewealth_accounts SET status = $2, status_updated_at = $3, raw_data = $4 \
         WHERE ref_id = $1 AND status_updated_at <= $3",
        &account.id as _,
        status,
        account.updated_at,
        Json(&*account.raw) as _,
    )
    .execute(&mut *connection)
    .await?;
    let is_newer = updated.rows_affected() == 1;
    let is_newly_open = is_newer && account.status == AccountStatus::Open && before.opened_at.is_none();
    if is_newly_open {
        set_opened(connection, before.trading_account_id, account.updated_at).await?;
    }
    if is_newer && account.status == AccountStatus::Closed {
        set_closed(connection, before.trading_account_id, account.updated_at).await?;
    }
    if is_newer && account.status.has_balance() {
        set_reopened(connection, before.trading_account_id, account.updated_at).await?;
    }
    Ok(Some(SavedState {
        trading_account_id: before.trading_account_id,
        profile_id: before.profile_id,
        is_newly_open,
        has_changed: is_newer && before.status != status,
    }))
}

async fn set_opened(
    connection: &mut PgConnection,
    account: TradingAccountId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_accounts SET opened_at = $2 WHERE id = $1",
        account as _,
        at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An account that was closed and is there again. From the day after it was closed it was worth nothing, until its next
/// balance.
async fn set_reopened(
    connection: &mut PgConnection,
    account: TradingAccountId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "WITH closed AS ( \
             SELECT id, currency, (closed_at AT TIME ZONE 'America/New_York')::DATE + 1 AS first_day FROM trading_accounts \
             WHERE id = $1 AND closed_at IS NOT NULL FOR UPDATE \
         ), reopened AS ( \
             UPDATE trading_accounts SET closed_at = NULL FROM closed WHERE trading_accounts.id = closed.id \
         ) \
         INSERT INTO trading_account_balances (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of) \
         SELECT id, first_day, 0, 0, currency, $2 FROM closed \
         WHERE first_day < ($2::TIMESTAMPTZ AT TIME ZONE 'America/New_York')::DATE ON CONFLICT DO NOTHING",
        account as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A later report of a closed account doesn't move the day it was closed on.
async fn set_closed(
    connection: &mut PgConnection,
    account: TradingAccountId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_accounts SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL",
        account as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A profile's trading, as `get_trading_profile` shows it. Amounts are minor units of `currency`.
#[derive(Debug)]
pub(crate) struct ProfileRow {
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) name: String,
    pub(crate) currency: Currency,
    pub(crate) status: String,
    pub(crate) opened_at: Option<DateTime<Utc>>,
    pub(crate) kyc_status: Option<String>,
    /// The newer of the account's and its portfolio's figures.
    pub(crate) cash_cents: Option<i64>,
    pub(crate) cash_available_for_withdrawal_cents: Option<i64>,
    pub(crate) equity_cents: Option<i64>,
    pub(crate) balances_as_of: Option<DateTime<Utc>>,
    pub(crate) pending_deposits_cents: i64,
    pub(crate) pending_withdrawals_cents: i64,
    pub(crate) deposits_suspended_at: Option<DateTime<Utc>>,
    pub(crate) deposits_suspended_reason: Option<String>,
    /// Since when commissions are owed for which nothing can be bought.
    pub(crate) owing_since: Option<DateTime<Utc>>,
    /// What is owed in commissions.
    pub(crate) owed_cents: i64,
    /// Orders of collections that haven't ended.
    pub(crate) pending_orders: i64,
    /// Those of them that put money in, by id: cents, or none for those that take a percentage.
    pub(crate) pending_buys_cents: Vec<Option<i64>>,
    /// The percentages of the same.
    pub(crate) pending_buys_percent: Vec<Option<i64>>,
}

/// All that `get_trading_profile` shows, in one statement.
pub(crate) async fn load_profile(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<ProfileRow>, Error> {
    let row = sqlx::query_as!(
        ProfileRow,
        r#"SELECT trading_accounts.id AS "trading_account_id: _", trading_accounts.name,
                  trading_accounts.currency AS "currency: _", trading_accounts.opened_at,
                  CASE WHEN drivewealth_portfolios.as_of >= trading_accounts.balances_as_of
                       THEN drivewealth_portfolios.cash_value_cents
                       ELSE COALESCE(trading_accounts.cash_balance_cents, drivewealth_portfolios.cash_value_cents)
                  END AS "cash_cents?",
                  trading_accounts.cash_available_for_withdrawal_cents,
                  CASE WHEN drivewealth_portfolios.as_of >= last_balance.as_of
                       THEN drivewealth_portfolios.equity_cents
                       ELSE COALESCE(last_balance.equity_cents, drivewealth_portfolios.equity_cents)
                  END AS "equity_cents?",
                  GREATEST(trading_accounts.balances_as_of, drivewealth_portfolios.as_of) AS balances_as_of,
                  drivewealth_accounts.status,
                  profiles.deposits_suspended_at, profiles.deposits_suspended_reason,
                  buying_suspensions.suspended_at AS "owing_since?",
                  (SELECT kyc_statuses.status FROM kyc_statuses WHERE kyc_statuses.profile_id = profiles.id
                   ORDER BY kyc_statuses.as_of DESC, kyc_statuses.id DESC LIMIT 1) AS kyc_status,
                  (SELECT COALESCE(SUM(amount_cents), 0)::BIGINT FROM open_invoices
                   WHERE open_invoices.profile_id = profiles.id AND currency = 'USD') AS "owed_cents!",
                  (SELECT count(*) FROM trading_collection_versions
                   WHERE trading_account_id = trading_accounts.id AND status IN ('pending', 'executing'))
                      AS "pending_orders!",
                  ARRAY (SELECT COALESCE(planned_amount_cents, target_amount_cents) FROM trading_collection_versions
                         WHERE trading_account_id = trading_accounts.id AND status IN ('pending', 'executing')
                           AND COALESCE(planned_amount_cents, target_amount_cents, target_percent) > 0 ORDER BY id)
                      AS "pending_buys_cents!: Vec<Option<i64>>",
                  ARRAY (SELECT target_percent FROM trading_collection_versions
                         WHERE trading_account_id = trading_accounts.id AND status IN ('pending', 'executing')
                           AND COALESCE(planned_amount_cents, target_amount_cents, target_percent) > 0 ORDER BY id)
                      AS "pending_buys_percent!: Vec<Option<i64>>",
                  COALESCE(open_flow.deposits, 0)::BIGINT AS "pending_deposits_cents!",
                  COALESCE(open_flow.withdrawals, 0)::BIGINT AS "pending_withdrawals_cents!"
           FROM profiles
           JOIN trading_accounts ON trading_accounts.profile_id = profiles.id
           JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           LEFT JOIN buying_suspensions ON buying_suspensions.profile_id = profiles.id
           LEFT JOIN drivewealth_portfolios
             ON drivewealth_portfolios.drivewealth_account_id = drivewealth_accounts.ref_id
           LEFT JOIN LATERAL (
               SELECT equity_cents, as_of FROM trading_account_balances
               WHERE trading_account_id = trading_accounts.id ORDER BY business_date DESC LIMIT 1
           ) AS last_balance ON true
           LEFT JOIN LATERAL (
               SELECT SUM(amount_cents) FILTER (WHERE amount_cents > 0) AS deposits,
                      -SUM(amount_cents) FILTER (WHERE amount_cents < 0) AS withdrawals
               FROM trading_money_flow
               WHERE trading_account_id = trading_accounts.id AND trading_money_flow.status IN ('pending', 'approved')
           ) AS open_flow ON true
           WHERE profiles.id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}
