//! Balances of trading accounts, per business date.

use chrono::{DateTime, NaiveDate, Utc};
use domain::currency::Currency;
use domain::ids::{DriveWealthAccountId, ProfileId, TradingAccountId};
use domain::trading::account::AccountStatus;
use domain::trading::balance::Balance;
use providers::drivewealth::CashBalance;
use sqlx::PgConnection;

use crate::Error;

/// An account whose balance is fetched.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) profile_id: ProfileId,
    pub(crate) drivewealth_account_id: DriveWealthAccountId,
    pub(crate) status: AccountStatus,
    pub(crate) currency: Currency,
}

/// The accounts that have a balance, by id, from the one behind `after` on. Those in a state that we don't know are among
/// them: only the broker knows, and refuses when it is asked.
pub(crate) async fn accounts_with_balance(
    connection: &mut PgConnection,
    after: Option<TradingAccountId>,
    limit: i64,
) -> Result<Vec<TradingAccountId>, Error> {
    let ids = sqlx::query_scalar!(
        r#"SELECT trading_account_id AS "id: TradingAccountId" FROM drivewealth_accounts
           WHERE trading_account_id > $1 AND status NOT IN ('pending', 'closed')
           ORDER BY trading_account_id LIMIT $2"#,
        after.map_or(0, |account| account.get()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// An account.
pub(crate) async fn load_account(
    connection: &mut PgConnection,
    account: TradingAccountId,
) -> Result<Account, Error> {
    let row = sqlx::query!(
        r#"SELECT trading_accounts.profile_id AS "profile_id: ProfileId",
                  trading_accounts.currency AS "currency: Currency",
                  drivewealth_accounts.ref_id AS "ref_id: DriveWealthAccountId", drivewealth_accounts.status
           FROM trading_accounts
           JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           WHERE trading_accounts.id = $1"#,
        account as _,
    )
    .fetch_optional(connection)
    .await?;
    let row = row.ok_or(Error::TradingAccountNotFound)?;
    Ok(Account {
        profile_id: row.profile_id,
        drivewealth_account_id: row.ref_id,
        status: AccountStatus::parse(&row.status),
        currency: row.currency,
    })
}

/// Saves the account's balance of the date, unless a newer one is known.
pub(crate) async fn save_of_date(
    connection: &mut PgConnection,
    account: TradingAccountId,
    business_date: NaiveDate,
    balance: &Balance,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO trading_account_balances AS known \
         (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (trading_account_id, business_date) DO UPDATE SET equity_cents = EXCLUDED.equity_cents, \
         cash_cents = EXCLUDED.cash_cents, currency = EXCLUDED.currency, as_of = EXCLUDED.as_of \
         WHERE known.as_of < EXCLUDED.as_of",
        account as _,
        business_date,
        balance.equity().minor(),
        balance.cash().minor(),
        balance.equity().currency() as _,
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Saves cash and equity with the account itself, where the app sees them, unless newer figures are known.
pub(crate) async fn save_on_account(
    connection: &mut PgConnection,
    account: TradingAccountId,
    balance: &Balance,
    cash: &CashBalance,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_accounts SET cash_balance_cents = $2, cash_available_for_trade_cents = $3, \
         cash_available_for_withdrawal_cents = $4, equity_cents = $5, balances_as_of = $6 \
         WHERE id = $1 AND (balances_as_of IS NULL OR balances_as_of < $6)",
        account as _,
        cash.balance.minor(),
        cash.available_for_trade.minor(),
        cash.available_for_withdrawal.minor(),
        balance.equity().minor(),
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}
