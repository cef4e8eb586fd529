//! What can go wrong in maintenance, with its lane.

use domain::lane::{Class, Laned};
use platform::error::PlatformError;

/// A failure of a maintenance job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A migration failed, or one that was applied before has been changed since.
    #[error("applying the migrations failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The Kafka producer can't be made.
    #[error("making the Kafka producer failed: {0}")]
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
    fn class(&self) -> Class<'_> {
        match self {
            Self::Migration(_) => Class::fatal("migration-failed"),
            Self::Kafka(_) => Class::transient("unavailable"),
            Self::Platform(error) => error.class(),
        }
    }
}
