//! What can go wrong with commissions, with its lane.

use domain::lane::{Lane, Laned, Rejection};
use domain::money::MoneyError;
use platform::error::PlatformError;

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
    /// The customer hasn't come to the end of the checkout session yet.
    #[error("the checkout session is not completed yet, or saved no card; complete it, then repeat this")]
    CheckoutNotCompleted,
    /// An invoice needs a payment method.
    #[error(
        "an invoice is open and this is the only payment method: add another one first, or wait until it is paid"
    )]
    LastPaymentMethod,
    /// Stripe doesn't know the price.
    #[error("there is no such price")]
    PriceNotFound,
    /// A price where none belongs, or none where one is needed.
    #[error("{message}")]
    Price {
        /// What is wrong.
        message: &'static str,
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
    Forged,
    /// An event of Stripe's that can't be read.
    #[error("an event can't be read: {0}")]
    Event(String),
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
    /// The outcome of a charge isn't known; it is found out when the message comes again.
    #[error("what came of charge {key} is not known yet")]
    OutcomeUnknown {
        /// The attempt's key.
        key: String,
    },
    /// Money arithmetic that doesn't work out.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The document can't be made.
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
    fn lane(&self) -> Lane {
        match self {
            Self::ProfileNotFound
            | Self::PaymentMethodNotFound
            | Self::InvoiceNotFound
            | Self::CheckoutNotFound => Lane::Rejected(Rejection::NotFound),
            Self::CheckoutNotCompleted | Self::LastPaymentMethod => Lane::Rejected(Rejection::Conflict),
            Self::PriceNotFound | Self::Price { .. } | Self::ReturnAddress { .. } => {
                Lane::Rejected(Rejection::Unprocessable)
            }
            Self::Forged => Lane::Rejected(Rejection::Malformed),
            Self::Unavailable { .. } | Self::OutcomeUnknown { .. } => Lane::Transient,
            Self::Event(_) | Self::Refused { .. } | Self::Money(_) | Self::Document(_) => Lane::Fatal,
            Self::Platform(error) => error.lane(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::ProfileNotFound => "profile-not-found",
            Self::PaymentMethodNotFound => "payment-method-not-found",
            Self::InvoiceNotFound => "invoice-not-found",
            Self::CheckoutNotFound => "checkout-session-not-found",
            Self::CheckoutNotCompleted => "checkout-session-not-completed",
            Self::LastPaymentMethod => "last-payment-method",
            Self::PriceNotFound => "price-not-found",
            Self::Price { .. } => "price-does-not-fit-mode",
            Self::ReturnAddress { .. } => "return-address-not-allowed",
            Self::Forged => "invalid-signature",
            Self::Event(_) => "unreadable-event",
            Self::Unavailable { .. } => "unavailable",
            Self::OutcomeUnknown { .. } => "outcome-unknown",
            Self::Refused { .. } => "refused-by-provider",
            Self::Money(_) | Self::Document(_) => "internal",
            Self::Platform(error) => error.code(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::PaymentMethodNotFound | Self::LastPaymentMethod => Some("payment_method_id"),
            Self::InvoiceNotFound => Some("invoice_id"),
            Self::CheckoutNotFound | Self::CheckoutNotCompleted => Some("stripe_session_id"),
            Self::PriceNotFound | Self::Price { .. } => Some("price_id"),
            Self::ReturnAddress { field, .. } => Some(field),
            Self::Forged => Some("Stripe-Signature"),
            Self::Platform(error) => error.field(),
            _ => None,
        }
    }
}
