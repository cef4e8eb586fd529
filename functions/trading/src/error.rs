//! What can go wrong in trading, with its lane.

use chrono::NaiveDate;
use domain::currency::Currency;
use domain::lane::{Class, Laned, Rejection};
use domain::money::MoneyError;
use domain::rate::WeightError;
use domain::trading::balance::InvalidBalance;
use domain::trading::money_flow::AmountRefusal;
use domain::trading::portfolio::InvalidPortfolio;
use platform::error::PlatformError;
use providers::outcome::ProviderError;

/// A failure of trading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The profile has no such trading account.
    #[error("there is no such trading account")]
    TradingAccountNotFound,
    /// The profile has no such bank account.
    #[error("there is no such bank account")]
    BankAccountNotFound,
    /// The profile has no trading account at all.
    #[error("this profile has no trading account yet; it is opened when KYC is approved")]
    NoTradingAccount,
    /// The account's state doesn't allow it.
    #[error("the trading account is {status}; this needs an open account")]
    AccountNotOpen {
        /// The state it is in.
        status: String,
    },
    /// The amount is refused.
    #[error("the amount {0}")]
    Amount(AmountRefusal),
    /// Deposits of the profile are suspended.
    #[error("deposits are suspended ({reason}); please contact support")]
    DepositsSuspended {
        /// Why.
        reason: String,
    },
    /// The bank wants its customer to sign in again.
    #[error("the bank account needs to be linked again: sign in to the bank and repeat the request")]
    BankNeedsSignIn,
    /// The bank account is in a currency that we don't take.
    #[error("the bank account is in {currency}; only USD can be deposited")]
    BankCurrency {
        /// Its currency.
        currency: Currency,
    },
    /// A provider refuses what it should accept, or doesn't respond.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The broker's figures of a portfolio don't add up.
    #[error("the portfolio's figures don't hold together: {0}")]
    InvalidPortfolio(#[from] InvalidPortfolio),
    /// The broker's figures of an account can't be its balance.
    #[error("the broker's figures are not the account's balance: {0}")]
    InvalidBalance(#[from] InvalidBalance),
    /// Cash moved between two requests to the broker.
    #[error("the cash changed while cash and positions were fetched; they are fetched again")]
    BalanceMoved,
    /// The balance of a day that hasn't begun.
    #[error(
        "scheduled_time is on {business_date}, which has not begun in New York; give a time that is past"
    )]
    BusinessDateAhead {
        /// The day.
        business_date: NaiveDate,
    },
    /// An event's payload can't be read.
    #[error("the payload of a {kind} event can't be read: {reason}")]
    Event {
        /// The event's type.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that can't be normalised.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// Money arithmetic that doesn't work out.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Platform(PlatformError::Database(error))
    }
}

impl From<AmountRefusal> for Error {
    fn from(refusal: AmountRefusal) -> Self {
        Self::Amount(refusal)
    }
}

impl Laned for Error {
    fn class(&self) -> Class<'_> {
        use Rejection::{Conflict, NotFound, Unprocessable};
        let rejected = Class::rejected;
        match self {
            Self::TradingAccountNotFound => {
                rejected(NotFound, "trading-account-not-found").at("trading_account_id")
            }
            Self::BankAccountNotFound => rejected(NotFound, "bank-account-not-found").at("bank_account_id"),
            Self::NoTradingAccount => rejected(NotFound, "no-trading-account"),
            Self::AccountNotOpen { .. } => {
                rejected(Conflict, "trading-account-not-open").at("trading_account_id")
            }
            Self::Amount(refusal) => amount(refusal).at("amount_cents"),
            Self::DepositsSuspended { .. } => rejected(Conflict, "deposits-suspended"),
            Self::BankNeedsSignIn => rejected(Conflict, "bank-account-needs-reauth").at("bank_account_id"),
            Self::BankCurrency { .. } => {
                rejected(Unprocessable, "bank-account-currency-not-supported").at("bank_account_id")
            }
            Self::Provider(error) => error.class(),
            Self::InvalidPortfolio(_) => Class::transient("invalid-portfolio"),
            Self::InvalidBalance(_) => Class::transient("invalid-balance"),
            Self::BalanceMoved => Class::transient("balance-moved"),
            Self::BusinessDateAhead { .. } => {
                rejected(Unprocessable, "business-date-ahead").at("scheduled_time")
            }
            Self::Event { .. } => Class::fatal("unreadable-event"),
            Self::Weights(_) | Self::Money(_) => Class::fatal("internal"),
            Self::Platform(error) => error.class(),
        }
    }
}

fn amount(refusal: &AmountRefusal) -> Class<'static> {
    match refusal {
        AmountRefusal::NotPositive => Class::rejected(Rejection::Unprocessable, "amount-not-positive"),
        AmountRefusal::AboveLimit { .. } => Class::rejected(Rejection::Unprocessable, "amount-above-limit"),
        AmountRefusal::NotEnough { .. } => Class::rejected(Rejection::Conflict, "insufficient-funds"),
        AmountRefusal::Money(_) => Class::fatal("internal"),
    }
}
