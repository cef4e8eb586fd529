//! What the app shows of a profile's trading.

use chrono::{DateTime, Utc};
use domain::ids::{ProfileId, TradingAccountId};
use domain::money::Money;
use platform::config::Environment;
use platform::database::Database;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;
use crate::store::accounts::{self, AccountView};

/// A profile's trading at a glance. Amounts are cents of `currency`; those that the broker hasn't told yet are null.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TradingProfile {
    /// The trading account.
    #[schema(value_type = i64, minimum = 1)]
    pub trading_account_id: TradingAccountId,
    /// Its name.
    pub name: String,
    /// `pending`, `open`, `open_no_new_trades`, `frozen` or `closed`.
    pub account_status: String,
    /// When the account was opened (RFC 3339, UTC).
    pub opened_at: Option<DateTime<Utc>>,
    /// State of the identity check; null before it begins.
    pub kyc_status: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// Value of cash and holdings.
    pub equity_cents: Option<i64>,
    /// Cash of the account.
    pub cash_cents: Option<i64>,
    /// Deposits on their way.
    pub pending_cash_cents: i64,
    /// Withdrawals on their way.
    pub pending_withdrawals_cents: i64,
    /// What can be invested: cash and deposits on their way, less withdrawals on their way; never below zero.
    pub buying_power_cents: Option<i64>,
    /// What can be withdrawn: cash available for it, less withdrawals on their way; never below zero.
    pub withdrawable_cash_cents: Option<i64>,
    /// When the broker told the balances (RFC 3339, UTC).
    pub balances_as_of: Option<DateTime<Utc>>,
    /// Whether deposits are suspended.
    pub deposits_suspended: bool,
    /// Why they are suspended.
    pub deposits_suspended_reason: Option<String>,
    /// Since when nothing can be bought, because commissions are owed (RFC 3339, UTC); null when buying is possible.
    /// Selling and withdrawing always are.
    pub buying_suspended_since: Option<DateTime<Utc>>,
}

/// Profiles as the app shows them.
#[derive(Debug)]
pub struct TradingProfiles {
    database: Database,
}

impl TradingProfiles {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// The profile's trading.
    ///
    /// # Errors
    /// Not found for a profile without a trading account.
    pub async fn get(&self, profile: ProfileId) -> Result<TradingProfile, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let view = accounts::view(&mut connection, profile)
            .await?
            .ok_or(Error::NoTradingAccount)?;
        present(view)
    }
}

fn present(view: AccountView) -> Result<TradingProfile, Error> {
    let buying_power = view
        .cash
        .map(|cash| {
            cash.checked_add(view.pending_deposits)?
                .checked_sub(view.pending_withdrawals)
        })
        .transpose()?
        .map(at_least_zero);
    let withdrawable = view
        .cash_available_for_withdrawal
        .map(|cash| cash.checked_sub(view.pending_withdrawals))
        .transpose()?
        .map(at_least_zero);
    Ok(TradingProfile {
        trading_account_id: view.trading_account_id,
        name: view.name,
        account_status: view.status.to_string(),
        opened_at: view.opened_at,
        kyc_status: view.kyc_status,
        currency: view.currency,
        equity_cents: view.equity.map(|equity| equity.minor()),
        cash_cents: view.cash.map(|cash| cash.minor()),
        pending_cash_cents: view.pending_deposits.minor(),
        pending_withdrawals_cents: view.pending_withdrawals.minor(),
        buying_power_cents: buying_power.map(|amount| amount.minor()),
        withdrawable_cash_cents: withdrawable.map(|amount| amount.minor()),
        balances_as_of: view.balances_as_of,
        deposits_suspended: view.deposits_suspended_reason.is_some(),
        deposits_suspended_reason: view.deposits_suspended_reason,
        buying_suspended_since: view.buying_suspended_since,
    })
}

fn at_least_zero(amount: Money) -> Money {
    if amount.is_negative() {
        Money::zero(amount.currency())
    } else {
        amount
    }
}
