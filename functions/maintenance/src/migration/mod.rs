//! The schema: SQL files in `infra/migrations`, applied in order, forward only; who may do what with it, `infra/rights.sql`;
//! and the topics that our events go to.

mod store;
#[cfg(test)]
mod tests;
mod topics;

use futures::future::try_join_all;
use platform::config::Environment;
use platform::database::Database;
use serde::Serialize;

use crate::Error;
use crate::kafka::Cluster;
use crate::nodes::Nodes;
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

/// Brings the schema of the database, and of every further node of the wallets, up to date.
#[derive(Debug)]
pub struct Migrations {
    nodes: Nodes,
    /// Whoever creates our topics; none where the company creates them itself, or has no Kafka.
    kafka: Option<KafkaAdministrator>,
}

platform::from_environment!(Migrations {
    nodes,
    kafka: |environment: &mut Environment| match Cluster::is_there(environment) {
        true => KafkaAdministrator::read(environment).map(Some),
        false => Some(None),
    },
});

impl Migrations {
    /// Applies the migrations that are missing, gives each area's user its rights, and tells each node of the wallets which one
    /// it is; and creates the topics that are missing. Two runs at once wait for each other.
    ///
    /// # Errors
    /// Fatal when a migration fails, one that was applied has been changed since, the owner may not make the areas' users, a
    /// node has been another one, or a topic can't be created; transient when a database or Kafka can't be reached.
    pub async fn apply(&self) -> Result<Report, Error> {
        let slots = (0..=i16::MAX).zip(self.nodes.iter());
        try_join_all(slots.map(|(slot, database)| prepare(database, slot))).await?;
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

async fn prepare(database: &Database, slot: i16) -> Result<(), Error> {
    // A session of its own: its settings must not reach anybody else's statements.
    let mut connection = database.dedicated().await?;
    store::apply(&mut connection).await?;
    // Before the rights: nobody makes anything there under ids of another slot.
    store::set_wallet_slot(&mut connection, slot).await?;
    store::give_rights(&mut connection).await
}
