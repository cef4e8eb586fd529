//! What can go wrong with wallets, with its lane.

use domain::currency::Currency;
use domain::lane::{Lane, Laned, Rejection};
use domain::money::{Money, MoneyError};
use domain::wallets::conversion::ConversionRefusal;
use platform::error::PlatformError;

/// A failure of the wallets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such client, or another's.
    #[error("there is no such client")]
    ClientNotFound,
    /// The client has no such wallet.
    #[error("the client has no such wallet")]
    WalletNotFound,
    /// The client has no such withdrawal.
    #[error("the client has no such withdrawal")]
    WithdrawalNotFound,
    /// The receiver is unknown, or has no wallet.
    #[error("there is no such receiver with a wallet")]
    ReceiverNotFound,
    /// The receiver has no wallet in the currency that was named.
    #[error("the receiver has no wallet in this currency")]
    ReceiverWalletNotFound,
    /// The receiver has several wallets, and none in the payer's currency.
    #[error("the receiver has several wallets and none in the payer's currency; name the one to pay into")]
    ReceiverCurrencyNeeded,
    /// Payer's and receiver's wallet are the same.
    #[error("payer and receiver are the same wallet")]
    SameWallet,
    /// There isn't enough in the wallet.
    #[error("there is not enough money in the wallet: its balance is {balance}")]
    InsufficientFunds {
        /// What there is.
        balance: Money,
    },
    /// The amount is zero or less.
    #[error("it has to be above zero")]
    AmountNotPositive {
        /// The field.
        field: &'static str,
    },
    /// A balance would be larger than a balance can be.
    #[error("the balance would be too large")]
    BalanceTooLarge,
    /// Both amounts are given, or none.
    #[error("give either amount (what the payer pays) or receiver_amount (what the receiver gets)")]
    OneAmountNeeded,
    /// The two currencies can't meet in this amount.
    #[error("{0}")]
    Conversion(ConversionRefusal),
    /// There is no rate between the currencies.
    #[error("there is no exchange rate between the two currencies")]
    NoExchangeRate,
    /// The withdrawal was settled before, in the opposite way.
    #[error("the withdrawal is {status} already")]
    SettledOtherwise {
        /// How it ended.
        status: &'static str,
    },
    /// A field is outside of what it may be.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong and which values are allowed.
        message: String,
    },
    /// The pair has another rate as of that time.
    #[error("{base}/{quote} has another rate as of that time; rates are history and are not changed")]
    RateIsHistory {
        /// Base currency.
        base: Currency,
        /// Quote currency.
        quote: Currency,
    },
    /// Another request changed the balance at the same moment, again and again.
    #[error("the wallet's balance kept changing")]
    Contended,
    /// An item of a batch was refused, and so the whole of it.
    #[error("transfers[{position}] was refused, and nothing was done: {reason}")]
    Batch {
        /// Its position, from zero.
        position: usize,
        /// Why.
        reason: Box<Error>,
        /// The field in the whole request.
        field: String,
    },
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

impl Error {
    /// This error as that of a whole batch, because of one of its items.
    pub(crate) fn of_batch(self, position: usize) -> Self {
        let field = match self.field() {
            Some("Idempotency-Key") => format!("transfers[{position}].idempotency_key"),
            Some(field) => format!("transfers[{position}].{field}"),
            None => format!("transfers[{position}]"),
        };
        Self::Batch {
            position,
            reason: Box::new(self),
            field,
        }
    }
}

impl Laned for Error {
    fn lane(&self) -> Lane {
        match self {
            Self::ClientNotFound
            | Self::WalletNotFound
            | Self::WithdrawalNotFound
            | Self::ReceiverNotFound
            | Self::ReceiverWalletNotFound => Lane::Rejected(Rejection::NotFound),
            Self::InsufficientFunds { .. } => Lane::Rejected(Rejection::PaymentRequired),
            Self::SettledOtherwise { .. } | Self::RateIsHistory { .. } => Lane::Rejected(Rejection::Conflict),
            Self::ReceiverCurrencyNeeded
            | Self::SameWallet
            | Self::AmountNotPositive { .. }
            | Self::BalanceTooLarge
            | Self::OneAmountNeeded
            | Self::Conversion(_)
            | Self::NoExchangeRate
            | Self::Invalid { .. } => Lane::Rejected(Rejection::Unprocessable),
            Self::Contended => Lane::Transient,
            Self::Batch { reason, .. } => reason.lane(),
            Self::Money(_) => Lane::Fatal,
            Self::Platform(error) => error.lane(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::ClientNotFound => "client-not-found",
            Self::WalletNotFound => "wallet-not-found",
            Self::WithdrawalNotFound => "withdrawal-not-found",
            Self::ReceiverNotFound => "receiver-not-found",
            Self::ReceiverWalletNotFound => "receiver-wallet-not-found",
            Self::ReceiverCurrencyNeeded => "receiver-currency-needed",
            Self::SameWallet => "same-wallet",
            Self::InsufficientFunds { .. } => "insufficient-funds",
            Self::AmountNotPositive { .. } => "amount-not-positive",
            Self::BalanceTooLarge | Self::Conversion(ConversionRefusal::TooLarge) => "amount-too-large",
            Self::OneAmountNeeded => "one-amount-needed",
            Self::Conversion(ConversionRefusal::ConvertsToNothing) => "amount-converts-to-nothing",
            Self::Conversion(ConversionRefusal::NotPayable) => "amount-not-payable",
            Self::NoExchangeRate => "no-exchange-rate",
            Self::SettledOtherwise { .. } => "withdrawal-settled-otherwise",
            Self::Invalid { .. } => "invalid-value",
            Self::RateIsHistory { .. } => "rate-is-history",
            Self::Contended => "unavailable",
            Self::Batch { reason, .. } => reason.code(),
            Self::Money(_) => "internal",
            Self::Platform(error) => error.code(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::ClientNotFound => Some("client_id"),
            Self::WalletNotFound => Some("wallet_id"),
            Self::WithdrawalNotFound => Some("transaction_id"),
            Self::ReceiverNotFound | Self::SameWallet => Some("receiver_client_id"),
            Self::ReceiverWalletNotFound | Self::ReceiverCurrencyNeeded | Self::NoExchangeRate => {
                Some("receiver_currency")
            }
            Self::InsufficientFunds { .. }
            | Self::BalanceTooLarge
            | Self::Conversion(_)
            | Self::OneAmountNeeded => Some("amount"),
            Self::AmountNotPositive { field } | Self::Invalid { field, .. } => Some(field),
            Self::SettledOtherwise { .. } => Some("outcome"),
            Self::RateIsHistory { .. } => Some("as_of"),
            Self::Batch { field, .. } => Some(field),
            Self::Contended | Self::Money(_) => None,
            Self::Platform(error) => error.field(),
        }
    }
}
