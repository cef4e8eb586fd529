//! Profiles, trading accounts and bank accounts.

use chrono::{DateTime, Utc};
use domain::ids::{
    BankAccountId, DriveWealthAccountId, DriveWealthUserId, PlaidAccountId, ProfileId, TradingAccountId,
};
use domain::money::Money;
use domain::trading::account::AccountStatus;
use platform::error::PlatformError;
use providers::drivewealth::{BrokerAccount, CashBalance};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{id, money};
use crate::Error;
use crate::broker::LinkedBankAccount;

/// Both ends of a money flow, found for one profile.
#[derive(Debug)]
pub(crate) struct Parties {
    pub(crate) drivewealth_account_id: DriveWealthAccountId,
    pub(crate) bank: LinkedBankAccount,
    /// The database's time at the look: what settles later isn't in figures asked for after it for sure.
    pub(crate) seen_at: DateTime<Utc>,
}

/// What decides whether an account takes part in a flow, read under its lock.
#[derive(Debug)]
pub(crate) struct LockedAccount {
    pub(crate) status: AccountStatus,
    pub(crate) deposits_suspended: Option<String>,
}

/// Finds both ends among the profile's own.
pub(crate) async fn parties(
    connection: &mut PgConnection,
    profile: ProfileId,
    account: TradingAccountId,
    bank_account: BankAccountId,
) -> Result<Parties, Error> {
    let row = sqlx::query!(
        r#"SELECT drivewealth_accounts.ref_id AS "drivewealth_account_id?",
                  plaid_items.item_id AS "item_id?", plaid_items.access_token_sealed AS "access_token_sealed?",
                  plaid_items.needs_reauth_since AS "needs_reauth_since?",
                  bank_accounts.plaid_account_id AS "plaid_account_id?",
                  clock_timestamp() AS "seen_at!"
           FROM (SELECT $1::BIGINT AS profile_id, $2::BIGINT AS account_id, $3::BIGINT AS bank_account_id) AS asked
           LEFT JOIN trading_accounts
             ON trading_accounts.id = asked.account_id AND trading_accounts.profile_id = asked.profile_id
           LEFT JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           LEFT JOIN bank_accounts
             ON bank_accounts.id = asked.bank_account_id AND bank_accounts.profile_id = asked.profile_id
            AND bank_accounts.deleted_at IS NULL
           LEFT JOIN drivewealth_bank_accounts ON drivewealth_bank_accounts.bank_account_id = bank_accounts.id
           LEFT JOIN plaid_items
             ON plaid_items.id = bank_accounts.plaid_item_id AND drivewealth_bank_accounts.ref_id IS NOT NULL"#,
        profile.get(),
        account.get(),
        bank_account.get(),
    )
    .fetch_one(connection)
    .await?;
    let drivewealth_account_id = row.drivewealth_account_id.ok_or(Error::TradingAccountNotFound)?;
    let (Some(item_id), Some(access_token_sealed), Some(plaid_account_id)) =
        (row.item_id, row.access_token_sealed, row.plaid_account_id)
    else {
        return Err(Error::BankAccountNotFound);
    };
    let stored = |_| PlatformError::Stored("outside id");
    Ok(Parties {
        drivewealth_account_id: DriveWealthAccountId::parse(&drivewealth_account_id).map_err(stored)?,
        bank: LinkedBankAccount {
            item_id,
            access_token_sealed,
            needs_sign_in: row.needs_reauth_since.is_some(),
            plaid_account_id: PlaidAccountId::parse(&plaid_account_id).map_err(stored)?,
        },
        seen_at: row.seen_at,
    })
}

/// Locks the account: flows of one account are accepted one after the other.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    account: TradingAccountId,
) -> Result<LockedAccount, Error> {
    let row = sqlx::query!(
        "SELECT drivewealth_accounts.status, profiles.deposits_suspended_reason \
         FROM trading_accounts JOIN profiles ON profiles.id = trading_accounts.profile_id \
         JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id \
         WHERE trading_accounts.id = $1 FOR UPDATE OF trading_accounts",
        account.get(),
    )
    .fetch_one(connection)
    .await?;
    Ok(LockedAccount {
        status: AccountStatus::parse(&row.status),
        deposits_suspended: row.deposits_suspended_reason,
    })
}

/// Keeps the cash that the broker told, unless a newer figure is kept.
pub(crate) async fn keep_cash(
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
        account.as_str(),
        cash.balance.minor(),
        cash.available_for_trade.minor(),
        cash.available_for_withdrawal.minor(),
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Suspends the profile's deposits; a suspension that stands keeps its reason.
pub(crate) async fn suspend_deposits(
    connection: &mut PgConnection,
    profile: ProfileId,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE profiles SET deposits_suspended_at = now(), deposits_suspended_reason = $2 \
         WHERE id = $1 AND deposits_suspended_at IS NULL",
        profile.get(),
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An account whose broker state was kept.
#[derive(Debug)]
pub(crate) struct KeptAccount {
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) profile_id: ProfileId,
    /// It is open now for the first time.
    pub(crate) is_newly_open: bool,
    /// Its state is another than before.
    pub(crate) has_changed: bool,
}

/// Keeps the account's state, unless a newer one is kept. `None` for an account that isn't ours.
pub(crate) async fn keep_status(
    connection: &mut PgConnection,
    reading: &BrokerAccount,
) -> Result<Option<KeptAccount>, Error> {
    let before = sqlx::query!(
        "SELECT drivewealth_accounts.status, drivewealth_accounts.trading_account_id, trading_accounts.profile_id, \
         trading_accounts.opened_at FROM drivewealth_accounts \
         JOIN trading_accounts ON trading_accounts.id = drivewealth_accounts.trading_account_id \
         WHERE ref_id = $1 FOR UPDATE",
        reading.id.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(before) = before else { return Ok(None) };
    let updated = sqlx::query!(
        "UPDATE drivewealth_accounts SET status = $2, status_updated_at = $3, raw_data = $4 \
         WHERE ref_id = $1 AND status_updated_at <= $3",
        reading.id.as_str(),
        reading.status.to_string(),
        reading.updated_at,
        Json(&*reading.raw) as _,
    )
    .execute(&mut *connection)
    .await?;
    let is_newer = updated.rows_affected() == 1;
    let is_newly_open = is_newer && reading.status == AccountStatus::Open && before.opened_at.is_none();
    if is_newly_open {
        sqlx::query!(
            "UPDATE trading_accounts SET opened_at = $2 WHERE id = $1",
            before.trading_account_id,
            reading.updated_at,
        )
        .execute(&mut *connection)
        .await?;
    }
    if is_newer && reading.status == AccountStatus::Closed {
        // Later words on a closed account don't move the day it was closed on.
        sqlx::query!(
            "UPDATE trading_accounts SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL",
            before.trading_account_id,
            reading.updated_at,
        )
        .execute(connection)
        .await?;
    }
    Ok(Some(KeptAccount {
        trading_account_id: id(before.trading_account_id)?,
        profile_id: id(before.profile_id)?,
        is_newly_open,
        has_changed: is_newer && before.status != reading.status.to_string(),
    }))
}

/// The account of a DriveWealth user.
pub(crate) async fn of_user(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
) -> Result<Option<DriveWealthAccountId>, Error> {
    let account = sqlx::query_scalar!(
        "SELECT ref_id FROM drivewealth_accounts WHERE drivewealth_user_id = $1 ORDER BY ref_id LIMIT 1",
        user.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    let account = account.map(|id| DriveWealthAccountId::parse(&id)).transpose();
    Ok(account.map_err(|_| PlatformError::Stored("outside id"))?)
}

/// The profile's trading account as the app shows it.
#[derive(Debug)]
pub(crate) struct AccountView {
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) name: String,
    pub(crate) currency: String,
    pub(crate) status: AccountStatus,
    pub(crate) opened_at: Option<DateTime<Utc>>,
    pub(crate) kyc_status: Option<String>,
    /// The newer of what the account and its portfolio were told to hold.
    pub(crate) cash: Option<Money>,
    pub(crate) cash_available_for_withdrawal: Option<Money>,
    pub(crate) equity: Option<Money>,
    pub(crate) balances_as_of: Option<DateTime<Utc>>,
    pub(crate) pending_deposits: Money,
    pub(crate) pending_withdrawals: Money,
    pub(crate) deposits_suspended_reason: Option<String>,
    pub(crate) buying_suspended_since: Option<DateTime<Utc>>,
}

/// Everything `get_trading_profile` shows, in one statement.
pub(crate) async fn view(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<AccountView>, Error> {
    let row = sqlx::query!(
        r#"SELECT trading_accounts.id, trading_accounts.name, trading_accounts.currency,
                  trading_accounts.opened_at,
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
                  drivewealth_accounts.status AS account_status,
                  profiles.deposits_suspended_reason,
                  buying_suspensions.suspended_at AS "buying_suspended_since?",
                  (SELECT kyc_statuses.status FROM kyc_statuses WHERE kyc_statuses.profile_id = profiles.id
                   ORDER BY kyc_statuses.created_at DESC, kyc_statuses.id DESC LIMIT 1) AS kyc_status,
                  COALESCE(open_flow.deposits, 0)::BIGINT AS "pending_deposits!",
                  COALESCE(open_flow.withdrawals, 0)::BIGINT AS "pending_withdrawals!"
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
        profile.get(),
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let amount = |minor: i64| money(minor, &row.currency);
    Ok(Some(AccountView {
        trading_account_id: id(row.id)?,
        name: row.name,
        status: AccountStatus::parse(&row.account_status),
        opened_at: row.opened_at,
        kyc_status: row.kyc_status,
        cash: row.cash_cents.map(amount).transpose()?,
        cash_available_for_withdrawal: row.cash_available_for_withdrawal_cents.map(amount).transpose()?,
        equity: row.equity_cents.map(amount).transpose()?,
        balances_as_of: row.balances_as_of,
        pending_deposits: amount(row.pending_deposits)?,
        pending_withdrawals: amount(row.pending_withdrawals)?,
        deposits_suspended_reason: row.deposits_suspended_reason,
        buying_suspended_since: row.buying_suspended_since,
        currency: row.currency.trim().to_owned(),
    }))
}
