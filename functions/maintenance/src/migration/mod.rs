//! The schema: SQL files in `infra/migrations`, applied in order, forward only; who may do what with it, `infra/rights.sql`;
//! and the topics that our events go to.

mod store;
#[cfg(test)]
mod tests;
mod topics;

use platform::config::Environment;
use platform::database::Database;
use serde::Serialize;

use crate::Error;
use crate::kafka::Cluster;
use topics::{KafkaAdministrator, OUTGOING};

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Migrations that the schema has now.
    pub migrations: usize,
    /// The newest of them.
    pub version: i64,
    /// Topics that were created; none where they are somebody else's to create.
    pub topics_created: usize,
}

/// Brings the schema of the database up to date.
#[derive(Debug)]
pub struct Migrations {
    database: Database,
    /// Whoever creates our topics; none where the company creates them itself, or has no Kafka.
    kafka: Option<KafkaAdministrator>,
}

platform::from_environment!(Migrations {
    database,
    kafka: |environment: &mut Environment| match Cluster::is_there(environment) {
        true => KafkaAdministrator::read(environment).map(Some),
        false => Some(None),
    },
});

impl Migrations {
    /// Applies the migrations that are missing, gives each area's user its rights, and creates the topics that are missing.
    /// Two runs at once wait for each other.
    ///
    /// # Errors
    /// Fatal when a migration fails, one that was applied has been changed since, the owner may not make the areas' users,
    /// or a topic can't be created; transient when the database or Kafka can't be reached.
    pub async fn apply(&self) -> Result<Report, Error> {
        // A session of its own: its settings must not reach anybody else's statements.
        let mut connection = self.database.dedicated().await?;
        store::apply(&mut connection).await?;
        store::give_rights(&mut connection).await?;
        drop(connection);
        let topics_created = match &self.kafka {
            Some(kafka) => topics::ensure(kafka, OUTGOING).await?,
            None => 0,
        };
        Ok(Report {
            migrations: store::MIGRATIONS.iter().count(),
            version: store::MIGRATIONS
                .iter()
                .map(|migration| migration.version)
                .max()
                .unwrap_or_default(),
            topics_created,
        })
    }
}
