//! What can go wrong in notifications, with its lane.

use domain::lane::{Lane, Laned};
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
    /// Firebase gives no answer at the moment.
    #[error("Firebase is not available: {0}")]
    FirebaseUnavailable(String),
    /// Firebase refuses whatever is pushed: something is wrong with what it was set up with.
    #[error("Firebase refused a push with code {0}")]
    FirebaseRefused(String),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl Error {
    /// A failure of DynamoDB.
    pub(crate) fn dynamodb<E: std::error::Error>(error: &E) -> Self {
        Self::Platform(PlatformError::DynamoDb(platform::problem::chain(error)))
    }
}

impl Laned for Error {
    fn lane(&self) -> Lane {
        match self {
            Self::Event { .. } | Self::Item(_) | Self::FirebaseRefused(_) => Lane::Fatal,
            Self::FirebaseUnavailable(_) => Lane::Transient,
            Self::Platform(error) => error.lane(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Event { .. } => "unreadable-event",
            Self::Item(_) => "unreadable-item",
            Self::FirebaseRefused(_) => "push-refused",
            Self::FirebaseUnavailable(_) => "unavailable",
            Self::Platform(error) => error.code(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Platform(error) => error.field(),
            _ => None,
        }
    }
}
