//! The errors of dealers, each with its lane, code and field.

use domain::dealers::books::BooksError;
use domain::dealers::requisite::WrongField;
use domain::lane::{Class, Laned, Rejection};
use domain::money::{Money, MoneyError};
use domain::transition::Refusal;
use platform::error::PlatformError;
use platform::http::Problem;
use providers::outcome::ProviderError;

/// A failure of dealers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The auction's systems may know the dealer; we don't.
    #[error("there is no such dealer; register it first")]
    DealerNotFound,
    /// The dealer has no such bill.
    #[error("the dealer has no such bill")]
    BillNotFound,
    /// The dealer was registered with another requisite.
    #[error(
        "the dealer is registered with another requisite; change it by PUT /dealers/{{cme_client_id}}/requisite"
    )]
    AnotherRequisite,
    /// Fields of a requisite are wrong.
    #[error("the requisite can't be right: see errors")]
    InvalidRequisite {
        /// What the fields' names begin with in the request.
        prefix: &'static str,
        /// What is wrong; one at least.
        wrong: Vec<WrongField>,
    },
    /// The account that a bill is put on isn't there.
    #[error("the dealer has no account for this operation; add fast buyout first")]
    AccountNotOpened,
    /// The deal was billed with another amount.
    #[error(
        "the deal is billed with {amount} in bill {bill}; void that bill first, while nothing is paid on it"
    )]
    DealBilledOtherwise {
        /// What it was billed with.
        amount: Money,
        /// The bill.
        bill: i64,
    },
    /// The deal was billed to another dealer.
    #[error("the deal is billed to another dealer; void that bill first, while nothing is paid on it")]
    DealBilledToAnother,
    /// An amount is zero or below.
    #[error("it has to be above zero")]
    AmountNotPositive {
        /// The field.
        field: &'static str,
    },
    /// An amount is beyond the limit.
    #[error("it may be at most {limit}")]
    AmountTooLarge {
        /// The field.
        field: &'static str,
        /// The limit.
        limit: Money,
    },
    /// The wrong amount for the operation, or none.
    #[error("GET_REWARD takes deal_price, and GET_SETTLEMENT takes amount; leave the other one out")]
    OneAmountNeeded {
        /// The field.
        field: &'static str,
    },
    /// The commission rounds to nothing.
    #[error("the commission for this price rounds to nothing, and nothing can't be billed")]
    RewardIsNothing,
    /// Something is paid on the bill.
    #[error(
        "{paid} is paid on the bill, so that it can't be voided: have the payment reversed in Billing first, or bill the \
         difference under a deal id of its own"
    )]
    BillPaidOn {
        /// How much.
        paid: Money,
    },
    /// A field is outside of what it may be.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong and which values are allowed.
        message: String,
    },
    /// A payment names a client of Billing that no account has.
    #[error("no account of ours has the client {0} of Billing")]
    UnknownBillingClient(String),
    /// A payment is in another currency.
    #[error("a payment in {0} can't be booked: dealers pay rubles")]
    CurrencyNotSupported(String),
    /// A payment of nothing, of less, or of more than anybody has.
    #[error("a payment of {0} kopecks can't be booked")]
    PaymentOutOfRange(i64),
    /// Another function is asking Billing about the same.
    #[error("{0} is being worked on")]
    BeingWorkedOn(String),
    /// Billing's answer was lost.
    #[error("what Billing has done about {0} isn't known yet")]
    OutcomeUnknown(String),
    /// A transition that can't be.
    #[error("the state doesn't allow it: {0}")]
    Transition(#[from] Refusal),
    /// Billing is not available, or refuses what it should accept.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Money arithmetic that doesn't work out.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Books that don't work out.
    #[error(transparent)]
    Books(#[from] BooksError),
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
    /// The answer to it, with every wrong field of a requisite named at once.
    pub fn into_problem(self) -> Problem {
        let mut problem = Problem::of(&self);
        if let Self::InvalidRequisite { prefix, wrong } = self {
            problem.errors.clear();
            for WrongField { field, message } in wrong {
                problem = problem.at(format!("{prefix}{field}"), message);
            }
        }
        problem
    }
}

impl Laned for Error {
    fn class(&self) -> Class<'_> {
        use Rejection::{Conflict, NotFound, Unprocessable};
        match self {
            Self::DealerNotFound => Class::rejected(NotFound, "dealer-not-found").at("cme_client_id"),
            Self::BillNotFound => Class::rejected(NotFound, "bill-not-found").at("bill_id"),
            Self::AnotherRequisite => Class::rejected(Conflict, "another-requisite").at("requisite"),
            Self::InvalidRequisite { .. } => {
                Class::rejected(Unprocessable, "invalid-requisite").at("requisite")
            }
            Self::AccountNotOpened => Class::rejected(Conflict, "account-not-opened").at("operation"),
            Self::DealBilledOtherwise { .. } => {
                Class::rejected(Conflict, "deal-billed-otherwise").at("deal_id")
            }
            Self::DealBilledToAnother => {
                Class::rejected(Conflict, "deal-billed-to-another-dealer").at("deal_id")
            }
            Self::AmountNotPositive { field } => {
                Class::rejected(Unprocessable, "amount-not-positive").at(field)
            }
            Self::AmountTooLarge { field, .. } => {
                Class::rejected(Unprocessable, "amount-too-large").at(field)
            }
            Self::OneAmountNeeded { field } => Class::rejected(Unprocessable, "one-amount-needed").at(field),
            Self::RewardIsNothing => Class::rejected(Unprocessable, "reward-is-nothing").at("deal_price"),
            Self::BillPaidOn { .. } => Class::rejected(Conflict, "bill-paid-on").at("bill_id"),
            Self::Invalid { field, .. } => Class::rejected(Unprocessable, "invalid-value").at(field),
            Self::UnknownBillingClient(_) => Class::fatal("unknown-billing-client"),
            Self::CurrencyNotSupported(_) => Class::fatal("currency-not-supported"),
            Self::PaymentOutOfRange(_) => Class::fatal("payment-out-of-range"),
            Self::BeingWorkedOn(_) => Class::transient("being-worked-on"),
            Self::OutcomeUnknown(_) => Class::transient("outcome-unknown"),
            Self::Provider(error) => error.class(),
            Self::Transition(_) | Self::Money(_) | Self::Books(_) => Class::fatal("internal"),
            Self::Platform(error) => error.class(),
        }
    }
}
