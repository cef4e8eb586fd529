//! What can go wrong in trading, with its lane.

use chrono::NaiveDate;
use domain::currency::Currency;
use domain::lane::{Lane, Laned, Rejection};
use domain::money::MoneyError;
use domain::rate::WeightError;
use domain::trading::balance::InvalidBalance;
use domain::trading::money_flow::AmountRefusal;
use domain::trading::portfolio::InvalidPortfolio;
use platform::error::PlatformError;

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
    /// An outside party gives no answer at the moment.
    #[error("{party} is not available: {reason}")]
    Unavailable {
        /// Who.
        party: &'static str,
        /// Why, for the logs.
        reason: String,
    },
    /// An outside party refuses what it should accept.
    #[error("{party} refused with code {code} (status {status})")]
    Refused {
        /// Who.
        party: &'static str,
        /// Its code.
        code: String,
        /// Its HTTP status.
        status: u16,
    },
    /// An answer about a portfolio is not to be trusted.
    #[error("the portfolio's answer doesn't hold together: {0}")]
    InvalidPortfolio(#[from] InvalidPortfolio),
    /// What the broker tells of an account is not its balance.
    #[error("the broker's figures are not the account's balance: {0}")]
    InvalidBalance(#[from] InvalidBalance),
    /// Cash moved while the broker was asked.
    #[error("the cash changed while cash and positions were asked for; they are asked for again")]
    BalanceMoved,
    /// Nobody knows yet what an account will be worth on that day.
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
    fn lane(&self) -> Lane {
        match self {
            Self::TradingAccountNotFound | Self::BankAccountNotFound | Self::NoTradingAccount => {
                Lane::Rejected(Rejection::NotFound)
            }
            Self::AccountNotOpen { .. } | Self::DepositsSuspended { .. } | Self::BankNeedsSignIn => {
                Lane::Rejected(Rejection::Conflict)
            }
            Self::Amount(AmountRefusal::NotEnough { .. }) => Lane::Rejected(Rejection::Conflict),
            Self::Amount(AmountRefusal::Money(_)) => Lane::Fatal,
            Self::Amount(_) | Self::BankCurrency { .. } | Self::BusinessDateAhead { .. } => {
                Lane::Rejected(Rejection::Unprocessable)
            }
            Self::Unavailable { .. }
            | Self::InvalidPortfolio(_)
            | Self::InvalidBalance(_)
            | Self::BalanceMoved => Lane::Transient,
            Self::Refused { .. } | Self::Event { .. } | Self::Weights(_) | Self::Money(_) => Lane::Fatal,
            Self::Platform(error) => error.lane(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TradingAccountNotFound => "trading-account-not-found",
            Self::BankAccountNotFound => "bank-account-not-found",
            Self::NoTradingAccount => "no-trading-account",
            Self::AccountNotOpen { .. } => "trading-account-not-open",
            Self::Amount(AmountRefusal::NotPositive) => "amount-not-positive",
            Self::Amount(AmountRefusal::AboveLimit { .. }) => "amount-above-limit",
            Self::Amount(AmountRefusal::NotEnough { .. }) => "insufficient-funds",
            Self::DepositsSuspended { .. } => "deposits-suspended",
            Self::BankNeedsSignIn => "bank-account-needs-reauth",
            Self::BankCurrency { .. } => "bank-account-currency-not-supported",
            Self::Unavailable { .. } => "unavailable",
            Self::InvalidPortfolio(_) => "invalid-portfolio",
            Self::InvalidBalance(_) => "invalid-balance",
            Self::BalanceMoved => "balance-moved",
            Self::BusinessDateAhead { .. } => "business-date-ahead",
            Self::Refused { .. } => "refused-by-provider",
            Self::Event { .. } => "unreadable-event",
            Self::Amount(AmountRefusal::Money(_)) | Self::Weights(_) | Self::Money(_) => "internal",
            Self::Platform(error) => error.code(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::TradingAccountNotFound | Self::AccountNotOpen { .. } => Some("trading_account_id"),
            Self::BankAccountNotFound | Self::BankNeedsSignIn | Self::BankCurrency { .. } => {
                Some("bank_account_id")
            }
            Self::Amount(_) => Some("amount_cents"),
            Self::BusinessDateAhead { .. } => Some("scheduled_time"),
            Self::Platform(error) => error.field(),
            _ => None,
        }
    }
}
