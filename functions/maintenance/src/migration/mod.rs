//! The schema: SQL files in `infra/migrations`, applied in order, forward only.

mod store;

use platform::database::Database;
use serde::Serialize;

use crate::Error;

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Migrations that the schema has now.
    pub migrations: usize,
    /// The newest of them.
    pub version: i64,
}

/// Brings the schema of the database up to date.
#[derive(Debug)]
pub struct Migrations {
    database: Database,
}

platform::from_environment!(Migrations { database });

impl Migrations {
    /// Applies the migrations that are missing. Two runs at once wait for each other.
    ///
    /// # Errors
    /// Fatal when a migration fails, or one that was applied has been changed since; transient when the database can't be
    /// reached.
    pub async fn apply(&self) -> Result<Report, Error> {
        // A session of its own: its settings must not reach anybody else's statements.
        let mut connection = self.database.dedicated().await?;
        store::apply(&mut connection).await?;
        Ok(Report {
            migrations: store::MIGRATIONS.iter().count(),
            version: store::MIGRATIONS
                .iter()
                .map(|migration| migration.version)
                .max()
                .unwrap_or_default(),
        })
    }
}
