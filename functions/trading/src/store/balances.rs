//! Balances of trading accounts, per business date.

use chrono::{DateTime, NaiveDate, Utc};
use domain::currency::Currency;
use domain::ids::{DriveWealthAccountId, ProfileId, TradingAccountId};
use domain::trading::account::AccountStatus;
use domain::trading::balance::Balance;
use platform::error::PlatformError;
use providers::drivewealth::CashBalance;
use sqlx::PgConnection;

use super::id;
use crate::Error;

/// An account whose balance is taken.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) profile_id: ProfileId,
    pub(crate) drivewealth_account_id: DriveWealthAccountId,
    pub(crate) status: AccountStatus,
    pub(crate) currency: Currency,
    /// The database's time at the look; what the broker says after it is as new as this at least.
    pub(crate) seen_at: DateTime<Utc>,
}

/// The accounts that have a balance, by id, from the one behind `after` on. Those that the broker calls something
/// nobody told us about are among them: only the broker knows, and it says no when it is asked.
pub(crate) async fn with_balance(
    connection: &mut PgConnection,
    after: Option<TradingAccountId>,
    most: i64,
) -> Result<Vec<TradingAccountId>, Error> {
    let ids = sqlx::query_scalar!(
        "SELECT trading_account_id FROM drivewealth_accounts \
         WHERE trading_account_id > $1 AND status NOT IN ('pending', 'closed') \
         ORDER BY trading_account_id LIMIT $2",
        after.map_or(0, |account| account.get()),
        most,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(id).collect::<Result<_, _>>()?)
}

/// An account, and what time it is.
pub(crate) async fn account(
    connection: &mut PgConnection,
    account: TradingAccountId,
) -> Result<Account, Error> {
    let row = sqlx::query!(
        r#"SELECT trading_accounts.profile_id, trading_accounts.currency, drivewealth_accounts.ref_id,
                  drivewealth_accounts.status, clock_timestamp() AS "seen_at!"
           FROM trading_accounts
           JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           WHERE trading_accounts.id = $1"#,
        account.get(),
    )
    .fetch_optional(connection)
    .await?;
    let row = row.ok_or(Error::TradingAccountNotFound)?;
    Ok(Account {
        profile_id: id(row.profile_id)?,
        drivewealth_account_id: DriveWealthAccountId::parse(&row.ref_id)
            .map_err(|_| PlatformError::Stored("outside id"))?,
        status: AccountStatus::parse(&row.status),
        currency: Currency::parse(row.currency.trim()).map_err(|_| PlatformError::Stored("currency"))?,
        seen_at: row.seen_at,
    })
}

/// Keeps the account's balance of the date, unless a newer one is kept.
pub(crate) async fn keep(
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
        account.get(),
        business_date,
        balance.equity().minor(),
        balance.cash().minor(),
        balance.equity().currency().code(),
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps cash and worth on the account itself, where the app sees them, unless newer figures are kept.
pub(crate) async fn keep_on_account(
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
        account.get(),
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
