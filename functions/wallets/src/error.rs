//! The errors of the wallets, each with its class: lane, code and field.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::lane::{Class, Laned, Rejection};
use domain::money::{Money, MoneyError};
use domain::wallets::conversion::ConversionRefusal;
use domain::wallets::rates::ExchangeRate;
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
    /// The client has no such payment.
    #[error("the client has no such payment")]
    PaymentNotFound,
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
    /// Nothing is known of the receiver, and its node is out of reach: of one transfer of a batch.
    #[error(
        "the receiver's wallets can't be looked at for the moment; send this transfer again, under another key than the batch's"
    )]
    ReceiverOutOfReach,
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
    /// The newest rate between the currencies is too old to convert.
    #[error(
        "the newest exchange rate {base}/{quote} is as of {as_of:?}; one of the last {max_age_days} days is needed"
    )]
    RateTooOld {
        /// Base currency.
        base: Currency,
        /// Quote currency.
        quote: Currency,
        /// As of when it is.
        as_of: DateTime<Utc>,
        /// How old it may be.
        max_age_days: u16,
    },
    /// The pair has no rate.
    #[error("there is no exchange rate {base}/{quote}")]
    RateNotFound {
        /// Base currency.
        base: Currency,
        /// Quote currency.
        quote: Currency,
    },
    /// With the opposite rate that counts, money would grow on its way there and back.
    #[error(
        "with {quote}/{base} of {reverse}, as of {as_of:?}, money that is exchanged and exchanged back would grow by more than a \
         millionth; set {quote}/{base} first"
    )]
    RateGains {
        /// Base currency.
        base: Currency,
        /// Quote currency.
        quote: Currency,
        /// The opposite rate.
        reverse: ExchangeRate,
        /// As of when that is.
        as_of: DateTime<Utc>,
    },
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
    /// The payers of an atomic batch live on several nodes, and no transaction spans these.
    #[error(
        "the payers of this batch are kept by different databases, so that it can't be all or nothing; send it in mode each, or \
         the transfers of each payer by themselves"
    )]
    BatchSpansNodes,
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
    fn class(&self) -> Class<'_> {
        use Rejection::{Conflict, NotFound, PaymentRequired, Unprocessable};
        match self {
            Self::ClientNotFound => Class::rejected(NotFound, "client-not-found").at("client_id"),
            Self::WalletNotFound => Class::rejected(NotFound, "wallet-not-found").at("wallet_id"),
            Self::PaymentNotFound => Class::rejected(NotFound, "payment-not-found").at("payment_id"),
            Self::WithdrawalNotFound => {
                Class::rejected(NotFound, "withdrawal-not-found").at("transaction_id")
            }
            Self::ReceiverNotFound => {
                Class::rejected(NotFound, "receiver-not-found").at("receiver_client_id")
            }
            Self::ReceiverWalletNotFound => {
                Class::rejected(NotFound, "receiver-wallet-not-found").at("receiver_currency")
            }
            Self::ReceiverCurrencyNeeded => {
                Class::rejected(Unprocessable, "receiver-currency-needed").at("receiver_currency")
            }
            Self::SameWallet => Class::rejected(Unprocessable, "same-wallet").at("receiver_client_id"),
            Self::InsufficientFunds { .. } => {
                Class::rejected(PaymentRequired, "insufficient-funds").at("amount")
            }
            Self::AmountNotPositive { field } => {
                Class::rejected(Unprocessable, "amount-not-positive").at(field)
            }
            Self::BalanceTooLarge | Self::Conversion(ConversionRefusal::TooLarge) => {
                Class::rejected(Unprocessable, "amount-too-large").at("amount")
            }
            Self::OneAmountNeeded => Class::rejected(Unprocessable, "one-amount-needed").at("amount"),
            Self::Conversion(ConversionRefusal::ConvertsToNothing) => {
                Class::rejected(Unprocessable, "amount-converts-to-nothing").at("amount")
            }
            Self::NoExchangeRate => {
                Class::rejected(Unprocessable, "no-exchange-rate").at("receiver_currency")
            }
            Self::RateTooOld { .. } => {
                Class::rejected(Unprocessable, "exchange-rate-too-old").at("receiver_currency")
            }
            Self::RateNotFound { .. } => Class::rejected(NotFound, "exchange-rate-not-found").at("quote"),
            Self::RateGains { .. } => Class::rejected(Unprocessable, "exchange-rate-gains").at("rate"),
            Self::SettledOtherwise { .. } => {
                Class::rejected(Conflict, "withdrawal-settled-otherwise").at("outcome")
            }
            Self::Invalid { field, .. } => Class::rejected(Unprocessable, "invalid-value").at(field),
            Self::RateIsHistory { .. } => Class::rejected(Conflict, "rate-is-history").at("as_of"),
            Self::Contended | Self::ReceiverOutOfReach => Class::transient("unavailable"),
            Self::BatchSpansNodes => Class::rejected(Unprocessable, "batch-spans-nodes").at("mode"),
            Self::Batch { reason, field, .. } => reason.class().at(field),
            Self::Money(_) => Class::fatal("internal"),
            Self::Platform(error) => error.class(),
        }
    }
}
