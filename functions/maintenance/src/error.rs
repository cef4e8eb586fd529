//! What can go wrong in maintenance, with its lane.

use domain::lane::{Class, Laned, Rejection};
use platform::error::PlatformError;

/// A failure of maintenance.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A migration failed, or one that was applied before has been changed since.
    #[error("applying the migrations failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The areas' users can't be made, or not given their rights.
    #[error("giving the areas' users their rights failed: the database's owner needs CREATEROLE")]
    Rights(#[source] sqlx::Error),
    /// The owner's name can't begin the areas' users' names.
    #[error("the database's owner is named {0}: take lower case letters, digits and _")]
    OwnersName(String),
    /// A database isn't the node of the wallets that the list of nodes says.
    #[error("the database of slot {slot} can't be told that it is; compare WALLET_NODES with what it was")]
    Slot {
        /// Its place among the nodes.
        slot: i16,
        /// What it says.
        #[source]
        error: sqlx::Error,
    },
    /// A client of Kafka can't be made, or Kafka can't be asked.
    #[error("reaching Kafka failed: {0}")]
    Kafka(String),
    /// Kafka didn't create topics that our events go to.
    #[error("creating topics failed: {0}")]
    Topics(String),
    /// There is no such review.
    #[error("there is no such review")]
    ReviewNotFound,
    /// Somebody has decided it, or it was settled.
    #[error("this review is decided already: read it to see by whom and what became of it")]
    ReviewDecided,
    /// The review doesn't have the action.
    #[error("this review has no such action; it has {known}")]
    ActionNotAllowed {
        /// Those that it has.
        known: String,
    },
    /// A value that can't be taken.
    #[error("{message}")]
    InvalidValue {
        /// The field.
        field: String,
        /// What is wrong and what is taken.
        message: String,
    },
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
            Self::Migration(_) => Class::fatal("migration-failed"),
            Self::Rights(_) | Self::OwnersName(_) => Class::fatal("rights-not-given"),
            Self::Slot { .. } => Class::fatal("another-node"),
            Self::Topics(_) => Class::fatal("topics-not-created"),
            Self::Kafka(_) => Class::transient("unavailable"),
            Self::ReviewNotFound => Class::rejected(Rejection::NotFound, "review-not-found").at("review_id"),
            Self::ReviewDecided => Class::rejected(Rejection::Conflict, "review-already-decided"),
            Self::ActionNotAllowed { .. } => {
                Class::rejected(Rejection::Unprocessable, "action-not-allowed").at("action")
            }
            Self::InvalidValue { field, .. } => {
                Class::rejected(Rejection::Unprocessable, "invalid-value").at(field)
            }
            Self::Platform(error) => error.class(),
        }
    }
}
