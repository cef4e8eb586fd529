//! The schema: SQL files, applied in order, forward only.

use platform::config::Environment;
use platform::database::Database;
use serde::Serialize;
use sqlx::Executor;
use sqlx::migrate::Migrator;

use crate::Error;

static MIGRATOR: Migrator = sqlx::migrate!("../../infra/migrations");

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Migrations that the schema has now.
    pub migrations: usize,
    /// The newest of them.
    pub version: i64,
}

/// The database whose schema is kept.
#[derive(Debug)]
pub struct Migrations {
    database: Database,
}

impl Migrations {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// Applies what is missing. Two runs at once wait for each other.
    ///
    /// # Errors
    /// Fatal when a migration fails, or one that was applied has been changed since.
    pub async fn apply(&self) -> Result<Report, Error> {
        let mut connection = self.database.dedicated().await?;
        // A migration may take longer than a request may. The proxy keeps a connection that says SET for it alone, so
        // this one ends with the run.
        connection
            .execute("SET statement_timeout = 0; SET lock_timeout = '60s'")
            .await?;
        MIGRATOR.run(&mut connection).await?;
        let version = MIGRATOR
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or_default();
        Ok(Report {
            migrations: MIGRATOR.iter().count(),
            version,
        })
    }
}
