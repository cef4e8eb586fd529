//! The relay: publishes the outbox to Kafka and SQS, at least once and in order per key and destination.
//!
//! One copy works at a time (an advisory lock). Messages of different keys go out side by side, in waves; those of one
//! key wait for each other, and behind one that fails until it gets through. Each destination has its own share of a
//! wave, so one that is out of reach holds up nobody else.

mod publisher;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::Error;
use publisher::Publisher;
use store::Message;

/// Messages of one destination in a wave.
const MAX_OF_DESTINATION: i64 = 200;
/// A run ends by itself when less than this is left of its time.
const MIN_TIME_LEFT: Duration = Duration::from_secs(15);
/// The part of it that a wave leaves for recording its outcome.
const RECORDING_TIME: Duration = Duration::from_secs(4);

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Messages that got through.
    pub published: usize,
    /// Attempts that failed; they are repeated later.
    pub failed: usize,
    /// Another relay is at work and publishes everything.
    pub left_to_another: bool,
}

/// Publishes the outbox.
#[derive(Debug)]
pub struct Relay {
    database: Database,
    publisher: Publisher,
    clock: ClockHandle,
}

platform::from_environment!(Relay {
    database,
    publisher,
    clock
});

impl Relay {
    /// Publishes until nothing is left that can be published now, unless another copy does.
    ///
    /// # Errors
    /// Transient when the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        // A run that is cut off, by its deadline or a panic, drops the connection and the lock with it.
        let mut connection = self.database.dedicated().await?;
        if !store::lock(&mut connection).await? {
            return Ok(Report {
                left_to_another: true,
                ..Report::default()
            });
        }
        self.report_oldest(&mut connection).await?;
        let report = self.publish_all(&mut connection, deadline).await?;
        connection.close().await?;
        Ok(report)
    }

    /// How late the outbox is, before this run.
    async fn report_oldest(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let oldest = store::oldest_unpublished(connection).await?;
        let age = oldest.map_or(0, |created_at| (self.clock.now() - created_at).num_seconds());
        metrics::seconds("OutboxOldestAgeSeconds", u64::try_from(age).unwrap_or(0));
        Ok(())
    }

    async fn publish_all(&self, connection: &mut PgConnection, deadline: Deadline) -> Result<Report, Error> {
        let mut report = Report::default();
        while deadline.left() > MIN_TIME_LEFT {
            let wave = store::due(connection, self.clock.now(), MAX_OF_DESTINATION).await?;
            if wave.is_empty() {
                break;
            }
            self.publish_wave(connection, &wave, deadline, &mut report)
                .await?;
        }
        Ok(report)
    }

    async fn publish_wave(
        &self,
        connection: &mut PgConnection,
        wave: &[Message],
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<(), Error> {
        let until = deadline.earlier_by(RECORDING_TIME).instant();
        let mut published = Vec::new();
        let (mut failed, mut reasons) = (Vec::new(), Vec::new());
        for (message, outcome) in self.publisher.publish(wave, until).await {
            match outcome {
                Ok(()) => published.push(message.id),
                Err(reason) => {
                    log_failure(message, &reason);
                    failed.push(message.id);
                    reasons.push(reason);
                }
            }
        }
        report.published += published.len();
        report.failed += failed.len();
        store::record(connection, self.clock.now(), &published, &failed, &reasons).await
    }
}

fn log_failure(message: &Message, reason: &str) {
    tracing::error!(
        outbox_message_id = message.id,
        event_id = %message.event_id,
        destination = message.destination,
        correlation_id = message.correlation_id(),
        reason,
        "publishing the message failed"
    );
}
