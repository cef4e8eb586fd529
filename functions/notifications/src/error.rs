//! What can go wrong in notifications, with its lane.

use domain::lane::{Class, Laned, Rejection};
use platform::error::PlatformError;
use providers::outcome::ProviderError;

/// A failure of notifications.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An event of a known type doesn't have its data.
    #[error("the data of a {kind} event can't be read")]
    UnreadableEvent {
        /// The event's type.
        kind: String,
    },
    /// A stored item doesn't have the shape it was written in.
    #[error("a stored item can't be read: {0}")]
    UnreadableItem(String),
    /// A template can't be rendered with the content's fields.
    #[error("a template can't be rendered: {0}")]
    Template(String),
    /// The profile has no such device, or it is another's.
    #[error("you have no such device")]
    DeviceNotFound,
    /// A field is outside of what it may be.
    #[error("{message}")]
    Invalid {
        /// The field, as the caller wrote it.
        field: String,
        /// What is wrong and which values are allowed.
        message: String,
    },
    /// Firebase refused a push, with this code.
    #[error("Firebase refused a push with code {0}")]
    PushRefused(String),
    /// The mail server refused a mail, or whatever we send; with this code and status.
    #[error("the mail server refused: {0}")]
    MailRefused(String),
    /// The profile has no contact to mail to.
    #[error("the profile has no contact")]
    NoContact,
    /// Firebase or the mail server can't be reached.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl Error {
    /// A failure of DynamoDB.
    pub(crate) fn dynamodb<E: std::error::Error>(error: &E) -> Self {
        Self::Platform(PlatformError::DynamoDb(platform::error::chain(error)))
    }

    /// An item that can't be read from DynamoDB or written to it.
    pub(crate) fn item(error: &serde_dynamo::Error) -> Self {
        Self::UnreadableItem(error.to_string())
    }
}

impl Laned for Error {
    fn class(&self) -> Class<'_> {
        match self {
            Self::UnreadableEvent { .. } => Class::fatal("unreadable-event"),
            Self::UnreadableItem(_) => Class::fatal("unreadable-item"),
            Self::Template(_) => Class::fatal("internal"),
            Self::DeviceNotFound => Class::rejected(Rejection::NotFound, "device-not-found").at("token"),
            Self::Invalid { field, .. } => {
                Class::rejected(Rejection::Unprocessable, "invalid-value").at(field)
            }
            Self::PushRefused(_) => Class::fatal("push-refused"),
            Self::MailRefused(_) => Class::fatal("mail-refused"),
            Self::NoContact => Class::fatal("no-contact"),
            Self::Provider(error) => error.class(),
            Self::Platform(error) => error.class(),
        }
    }
}
