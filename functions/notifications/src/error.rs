//! What can go wrong in notifications, with its lane.

use domain::lane::{Lane, Laned, Rejection};
use platform::error::PlatformError;

/// A failure of notifications.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An event that should be told can't be read.
    #[error("the data of a {kind} event can't be read")]
    Event {
        /// The event's type.
        kind: String,
    },
    /// A stored item doesn't have the shape it was written in.
    #[error("a stored item doesn't fit: {0}")]
    Item(String),
    /// A template doesn't fit what it tells of.
    #[error("a template doesn't fit: {0}")]
    Template(String),
    /// The profile has no such device, or it is another's.
    #[error("there is no such device of yours")]
    DeviceNotFound,
    /// A field is outside of what it may be.
    #[error("{message}")]
    Invalid {
        /// The field, as the caller wrote it.
        field: String,
        /// What is wrong and which values are allowed.
        message: String,
    },
    /// Firebase gives no answer at the moment.
    #[error("Firebase is not available: {0}")]
    FirebaseUnavailable(String),
    /// Firebase refuses whatever is pushed: something is wrong with what it was set up with.
    #[error("Firebase refused a push with code {0}")]
    FirebaseRefused(String),
    /// The mail server takes nothing at the moment.
    #[error("the mail server is not available: {0}")]
    MailUnavailable(String),
    /// The mail server refused a mail, or whatever we send.
    #[error("the mail server refused: {0}")]
    MailRefused(String),
    /// There is nobody to write to.
    #[error("the profile has no contact")]
    NoContact,
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl Error {
    /// A failure of DynamoDB.
    pub(crate) fn dynamodb<E: std::error::Error>(error: &E) -> Self {
        Self::Platform(PlatformError::DynamoDb(platform::error::chain(error)))
    }
}

impl Laned for Error {
    fn lane(&self) -> Lane {
        match self {
            Self::Event { .. }
            | Self::Item(_)
            | Self::Template(_)
            | Self::FirebaseRefused(_)
            | Self::MailRefused(_)
            | Self::NoContact => Lane::Fatal,
            Self::DeviceNotFound => Lane::Rejected(Rejection::NotFound),
            Self::Invalid { .. } => Lane::Rejected(Rejection::Unprocessable),
            Self::FirebaseUnavailable(_) | Self::MailUnavailable(_) => Lane::Transient,
            Self::Platform(error) => error.lane(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Event { .. } => "unreadable-event",
            Self::Item(_) => "unreadable-item",
            Self::Template(_) => "internal",
            Self::DeviceNotFound => "device-not-found",
            Self::Invalid { .. } => "invalid-value",
            Self::FirebaseRefused(_) => "push-refused",
            Self::MailRefused(_) => "mail-refused",
            Self::NoContact => "no-contact",
            Self::FirebaseUnavailable(_) | Self::MailUnavailable(_) => "unavailable",
            Self::Platform(error) => error.code(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::DeviceNotFound => Some("token"),
            Self::Invalid { field, .. } => Some(field),
            Self::Platform(error) => error.field(),
            _ => None,
        }
    }
}
