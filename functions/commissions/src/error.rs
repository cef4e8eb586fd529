//! The errors of commissions, each with its lane, code and field.

use domain::lane::{Class, Laned, Rejection};
use domain::money::MoneyError;
use platform::error::PlatformError;
use providers::outcome::ProviderError;

/// A failure of commissions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token's profile isn't there.
    #[error("there is no such profile")]
    ProfileNotFound,
    /// The profile has no such payment method.
    #[error("there is no such payment method")]
    PaymentMethodNotFound,
    /// The profile has no such invoice.
    #[error("there is no such invoice")]
    InvoiceNotFound,
    /// The profile has no such checkout session.
    #[error("there is no such checkout session")]
    CheckoutNotFound,
    /// The customer hasn't completed the checkout session yet.
    #[error("the checkout session is not completed yet, or saved no card; complete it, then repeat this")]
    CheckoutNotCompleted,
    /// An invoice needs a payment method.
    #[error(
        "an invoice is open and this is the only payment method: add another one first, or wait until it is paid"
    )]
    LastPaymentMethod,
    /// The price isn't on offer, or Stripe doesn't know it.
    #[error("there is no such price on offer")]
    PriceNotFound,
    /// A price where none belongs, or none where one is needed.
    #[error("{message}")]
    Price {
        /// What is wrong.
        message: &'static str,
    },
    /// The profile has had as many sessions today as it may.
    #[error(
        "no more than {limit} checkout sessions are possible in a day: go on with one of them, or try again tomorrow"
    )]
    TooManyCheckouts {
        /// As many as it may.
        limit: i64,
    },
    /// A return address that isn't allowed.
    #[error("{message}")]
    ReturnAddress {
        /// The field.
        field: &'static str,
        /// What is wrong and which addresses are allowed.
        message: String,
    },
    /// The webhook isn't Stripe's.
    #[error("the signature doesn't match")]
    InvalidSignature,
    /// An event of another mode (live or test), or of another account.
    #[error("the event is of another mode or account than this endpoint is for")]
    ForeignEvent,
    /// An event of Stripe's that can't be read.
    #[error("{0}")]
    UnreadableEvent(String),
    /// The outcome of a charge is unknown; it is looked up when the message comes again.
    #[error("the outcome of charge {key} is not known yet")]
    OutcomeUnknown {
        /// The charge's idempotency key.
        key: String,
    },
    /// The refunds of a charge were recorded while Stripe was asked for them; it is asked again when the event comes again.
    #[error("the refunds of charge {key} have changed meanwhile")]
    RefundsChanged {
        /// The charge's idempotency key.
        key: String,
    },
    /// Stripe is not available, or refuses what it should accept.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Money arithmetic that doesn't work out.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// An invoice's PDF can't be made.
    #[error("the document can't be made: {0}")]
    Document(String),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Platform(PlatformError::Database(error))
    }
}

impl Laned for Error {
    fn class(&self) -> Class<'_> {
        match self {
            Self::ProfileNotFound => Class::rejected(Rejection::NotFound, "profile-not-found"),
            Self::PaymentMethodNotFound => {
                Class::rejected(Rejection::NotFound, "payment-method-not-found").at("payment_method_id")
            }
            Self::InvoiceNotFound => {
                Class::rejected(Rejection::NotFound, "invoice-not-found").at("invoice_id")
            }
            Self::CheckoutNotFound => {
                Class::rejected(Rejection::NotFound, "checkout-session-not-found").at("stripe_session_id")
            }
            Self::CheckoutNotCompleted => {
                Class::rejected(Rejection::Conflict, "checkout-session-not-completed").at("stripe_session_id")
            }
            Self::LastPaymentMethod => {
                Class::rejected(Rejection::Conflict, "last-payment-method").at("payment_method_id")
            }
            Self::PriceNotFound => {
                Class::rejected(Rejection::Unprocessable, "price-not-found").at("price_id")
            }
            Self::Price { .. } => {
                Class::rejected(Rejection::Unprocessable, "price-does-not-fit-mode").at("price_id")
            }
            Self::TooManyCheckouts { .. } => Class::rejected(Rejection::Conflict, "checkout-limit-reached"),
            Self::ReturnAddress { field, .. } => {
                Class::rejected(Rejection::Unprocessable, "return-address-not-allowed").at(field)
            }
            Self::InvalidSignature => {
                Class::rejected(Rejection::Malformed, "invalid-signature").at("Stripe-Signature")
            }
            Self::ForeignEvent => Class::rejected(Rejection::Unprocessable, "foreign-event"),
            Self::UnreadableEvent(_) => Class::rejected(Rejection::Malformed, "unreadable-event").at("body"),
            Self::OutcomeUnknown { .. } => Class::transient("outcome-unknown"),
            Self::RefundsChanged { .. } => Class::transient("refunds-changed"),
            Self::Provider(error) => error.class(),
            Self::Money(_) | Self::Document(_) => Class::fatal("internal"),
            Self::Platform(error) => error.class(),
        }
    }
}
