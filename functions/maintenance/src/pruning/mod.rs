//! Pruning: deletes records that have done their work, some at a time.
//!
//! `idempotency_keys` is never pruned: a key guards what was made under it, as long as that is stored.

mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::TimeDelta;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::nodes::Nodes;

/// How long a message of the outbox is kept after it was published, for people who look into what was published.
const PUBLISHED_RETENTION: TimeDelta = TimeDelta::days(30);
/// How long an event of the inbox is kept. A repeated event is recognised by it, and a queue with its dead-letter queue
/// holds one for 14 days at the most.
const INBOX_RETENTION: TimeDelta = TimeDelta::days(90);
/// How long an equity history has every minute; before, an hour's lowest and highest stay.
const EQUITY_MINUTES_RETENTION: TimeDelta = TimeDelta::days(90);
/// Rows of one table that a statement deletes, well within its time limit.
const MAX_ROWS: i64 = 10_000;
/// Another statement is begun only while more than this is left of the run's time.
const MIN_TIME_LEFT: Duration = Duration::from_secs(15);

/// Rows of the equity histories that a run takes: an hour of ten thousand accounts.
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
    /// The time was over before all was deleted that is old enough.
    pub unfinished: bool,
}

/// Deletes old records.
#[derive(Debug)]
pub struct Pruning {
    nodes: Nodes,
    clock: ClockHandle,
}

platform::from_environment!(Pruning { nodes, clock });

impl Pruning {
    /// Deletes what is old enough, some thousand rows at a time, in each database until nothing is left or the time is over. What is
    /// left then is counted by the metric `RecordsNotPruned`, and the next run goes on with it.
    ///
    /// # Errors
    /// Transient when the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let done = self
            .nodes
            .each(async |database| self.prune(database, deadline).await)
            .await?;
        let mut report = Report::default();
        for of_node in &done.reports {
            report.outbox_messages += of_node.outbox_messages;
            report.inbox_events += of_node.inbox_events;
            report.equity_minutes += of_node.equity_minutes;
            report.unfinished |= of_node.unfinished;
        }
        if report.unfinished {
            metrics::count("RecordsNotPruned", 1);
        }
        Ok(report)
    }

    async fn prune(&self, database: &Database, deadline: Deadline) -> Result<Report, Error> {
        let minutes_before = self.clock.now() - EQUITY_MINUTES_RETENTION;
        database
            .with(async |connection| {
                store::make_equity_partitions(connection, self.clock.now()).await?;
                let mut report = Report {
                    equity_minutes: store::thin_equity(connection, minutes_before, MAX_EQUITY_ROWS).await?,
                    ..Report::default()
                };
                while self.delete_some(connection, &mut report).await? {
                    if deadline.left() <= MIN_TIME_LEFT {
                        report.unfinished = true;
                        break;
                    }
                }
                Ok(report)
            })
            .await
    }

    /// Deletes some rows of each table; says whether there may be more.
    async fn delete_some(&self, connection: &mut PgConnection, report: &mut Report) -> Result<bool, Error> {
        let now = self.clock.now();
        let published = store::delete_published(connection, now - PUBLISHED_RETENTION, MAX_ROWS).await?;
        let received = store::delete_received(connection, now - INBOX_RETENTION, MAX_ROWS).await?;
        report.outbox_messages += published;
        report.inbox_events += received;
        Ok(published.max(received) >= MAX_ROWS.unsigned_abs())
    }
}
