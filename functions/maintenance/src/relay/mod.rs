//! The relay: publishes the outbox to Kafka and SQS, at least once and in order per key and destination.
//!
//! Each destination is worked on by itself, by one relay at a time (an advisory lock), so that one that is out of reach
//! holds up nobody else. What waits for it is read by position, in chunks; a chunk is sent without waiting for each
//! acknowledgement, and a failure holds up its own key alone.

mod chunk;
mod delivery;
mod destination;
mod message;
mod publisher;
mod report;
mod store;
#[cfg(test)]
mod tests;

use futures::future::try_join_all;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use crate::Error;
use crate::nodes::Nodes;
use delivery::Delivery;
use publisher::Publisher;

pub use report::Report;

/// Publishes the outbox, of the deployment's database and of each further node of the wallets.
#[derive(Debug)]
pub struct Relay {
    nodes: Nodes,
    publisher: Publisher,
    waker: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Relay {
    nodes,
    publisher,
    waker,
    clock
});

impl Relay {
    /// Publishes until nothing is left that can be published now, or the time is over; then it wakes another run.
    ///
    /// # Errors
    /// Transient when the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let done = self
            .nodes
            .each(async |database| self.publish(database, deadline).await);
        let done = done.await?;
        let mut report = Report {
            nodes_out_of_reach: done.out_of_reach,
            ..Report::default()
        };
        for of_node in &done.reports {
            report.add(of_node);
        }
        if report.unfinished {
            self.waker.wake().await;
        }
        Ok(report)
    }

    /// The share of one database.
    async fn publish(&self, database: &Database, deadline: Deadline) -> Result<Report, Error> {
        // A run that is cut off, by its deadline or a panic, drops the connection and its locks with it.
        let mut connection = database.dedicated().await?;
        self.report_oldest(&mut connection).await?;
        let destinations = store::destinations(&mut connection, self.clock.now()).await?;
        let connection = Mutex::new(connection);
        let deliveries = destinations.into_iter().map(|destination| {
            let delivery = Delivery {
                destination,
                connection: &connection,
                publisher: &self.publisher,
                clock: &self.clock,
                deadline,
            };
            delivery.run()
        });
        let mut report = Report::default();
        for delivered in try_join_all(deliveries).await? {
            report.add(&delivered);
        }
        connection.into_inner().close().await?;
        Ok(report)
    }

    /// How late the outbox is, before this run.
    async fn report_oldest(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let oldest = store::oldest_unpublished(connection).await?;
        let age = oldest.map_or(0, |created_at| (self.clock.now() - created_at).num_seconds());
        metrics::seconds("OutboxOldestAgeSeconds", u64::try_from(age).unwrap_or(0));
        Ok(())
    }
}
