//! Pruning: deletes records that have done their work, some at a time.
//!
//! `idempotency_keys` is never pruned: a key guards what was made under it, as long as that is stored.

mod store;
#[cfg(test)]
mod tests;

use chrono::TimeDelta;
use platform::clock::ClockHandle;
use platform::database::Database;
use serde::Serialize;

use crate::Error;
use crate::nodes::Nodes;

/// How long a message of the outbox is kept after it was published, for people who look into what was published.
const PUBLISHED_RETENTION: TimeDelta = TimeDelta::days(30);
/// How long an event of the inbox is kept. A repeated event is recognised by it, and a queue with its dead-letter queue
/// holds one for 14 days at the most.
const INBOX_RETENTION: TimeDelta = TimeDelta::days(90);
/// How long an equity history has every minute; before, an hour's lowest and highest stay.
const EQUITY_MINUTES_RETENTION: TimeDelta = TimeDelta::days(90);
/// Rows of one table that a run deletes, well within a statement's time limit. An hourly run keeps up with 240 000 a day.
const MAX_ROWS: i64 = 10_000;

/// The same of the equity histories: an hour of ten thousand accounts.
const MAX_EQUITY_ROWS: i64 = 600_000;

/// What a run deleted.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Published messages of the outbox.
    pub outbox_messages: u64,
    /// Events of the inbox.
    pub inbox_events: u64,
    /// Minutes of funded accounts' equity histories.
    pub equity_minutes: u64,
}

/// Deletes old records.
#[derive(Debug)]
pub struct Pruning {
    nodes: Nodes,
    clock: ClockHandle,
}

platform::from_environment!(Pruning { nodes, clock });

impl Pruning {
    /// Deletes what is old enough, no more than 10 000 rows of a table of each database.
    ///
    /// # Errors
    /// Transient when the database fails.
    pub async fn run(&self) -> Result<Report, Error> {
        let done = self
            .nodes
            .each(async |database| self.prune(database).await)
            .await?;
        let mut report = Report::default();
        for of_node in &done.reports {
            report.outbox_messages += of_node.outbox_messages;
            report.inbox_events += of_node.inbox_events;
            report.equity_minutes += of_node.equity_minutes;
        }
        Ok(report)
    }

    async fn prune(&self, database: &Database) -> Result<Report, Error> {
        let now = self.clock.now();
        database
            .with(async |connection| {
                let published_before = now - PUBLISHED_RETENTION;
                let received_before = now - INBOX_RETENTION;
                let minutes_before = now - EQUITY_MINUTES_RETENTION;
                store::make_equity_partitions(connection, now).await?;
                Ok(Report {
                    outbox_messages: store::delete_published(connection, published_before, MAX_ROWS).await?,
                    inbox_events: store::delete_received(connection, received_before, MAX_ROWS).await?,
                    equity_minutes: store::thin_equity(connection, minutes_before, MAX_EQUITY_ROWS).await?,
                })
            })
            .await
    }
}
