//! What can go wrong in operations, with its lane.

use domain::lane::{Lane, Laned};
use platform::error::PlatformError;

/// A failure of operations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A migration failed or doesn't fit what was applied before.
    #[error("the migrations can't be applied")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The Kafka producer can't be made.
    #[error("Kafka can't be spoken to: {0}")]
    Kafka(String),
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
            Self::Migration(_) => Lane::Fatal,
            Self::Kafka(_) => Lane::Transient,
            Self::Platform(error) => error.lane(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Migration(_) => "migration-failed",
            Self::Kafka(_) => "unavailable",
            Self::Platform(error) => error.code(),
        }
    }
}
