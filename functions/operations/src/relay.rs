//! The relay: publishes the outbox to Kafka and SQS, at least once and in order per key and destination.
//!
//! One copy works at a time (an advisory lock). Messages of different keys go out side by side; those of one key wait
//! for each other, and behind one that fails until it gets through.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::metrics;
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::publish::Publisher;
use crate::store::outbox::{self, Message};

/// Messages read at a time.
const BATCH: i64 = 500;
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Messages that got through.
    pub published: usize,
    /// Attempts that did not; they are repeated.
    pub failed: usize,
}

/// The relay.
#[derive(Debug)]
pub struct Relay {
    database: Database,
    publisher: Publisher,
}

impl Relay {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let publisher = Publisher::read(environment);
        Some(Self {
            database: database?,
            publisher: publisher?,
        })
    }

    /// Publishes until nothing is left that can be published now.
    ///
    /// # Errors
    /// Transient when the database fails, or another copy works longer than a lock is waited for.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        outbox::lock(&mut connection).await?;
        let outcome = self.publish_all(&mut connection, deadline).await;
        outbox::unlock(&mut connection).await?;
        outcome
    }

    async fn publish_all(&self, connection: &mut PgConnection, deadline: Deadline) -> Result<Report, Error> {
        let mut report = Report::default();
        metrics::seconds(
            "OutboxOldestAgeSeconds",
            outbox::oldest_age_seconds(connection).await?,
        );
        loop {
            let waiting = outbox::unpublished(connection, BATCH).await?;
            let wave = first_of_each_key(waiting);
            if wave.is_empty() || deadline.left() < RESERVE {
                break;
            }
            self.publish_wave(connection, wave, &mut report).await?;
        }
        outbox::prune(connection).await?;
        Ok(report)
    }

    async fn publish_wave(
        &self,
        connection: &mut PgConnection,
        wave: Vec<Message>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let outcomes = join_all(wave.iter().map(|message| self.publisher.publish(message))).await;
        let mut published = Vec::new();
        let (mut failed, mut reasons) = (Vec::new(), Vec::new());
        for (message, outcome) in wave.iter().zip(outcomes) {
            match outcome {
                Ok(()) => published.push(message.id),
                Err(reason) => {
                    tracing::error!(
                        message = message.id,
                        to = message.destination,
                        reason,
                        "not published"
                    );
                    failed.push(message.id);
                    reasons.push(reason);
                }
            }
        }
        report.published += published.len();
        report.failed += failed.len();
        outbox::mark(connection, &published, &failed, &reasons).await
    }
}

/// The messages that may go out now: the oldest of each key and destination, unless it waits after a failure.
fn first_of_each_key(waiting: Vec<Message>) -> Vec<Message> {
    let mut seen = BTreeSet::new();
    waiting
        .into_iter()
        .filter(|message| {
            let is_first = seen.insert((
                message.destination_kind.clone(),
                message.destination.clone(),
                message.ordering_key.clone(),
            ));
            is_first && message.is_due
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(id: i64, key: &str, is_due: bool) -> Message {
        Message {
            id,
            event_id: uuid::Uuid::nil(),
            kind: "k".to_owned(),
            ordering_key: key.to_owned(),
            payload: json!({}),
            destination_kind: "topic".to_owned(),
            destination: "t".to_owned(),
            is_due,
        }
    }

    #[test]
    fn a_key_goes_out_one_by_one_and_waits_behind_its_failure() {
        let waiting = vec![
            message(1, "a", true),
            message(2, "a", true),
            message(3, "b", false),
            message(4, "b", true),
        ];
        let wave: Vec<i64> = first_of_each_key(waiting)
            .iter()
            .map(|message| message.id)
            .collect();
        assert_eq!(wave, [1]);
    }
}
