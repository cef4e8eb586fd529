//! The relay: publishes the outbox to Kafka and SQS, at least once and in order per key and destination.
//!
//! One copy works at a time (an advisory lock). Messages of different keys go out side by side, in waves; those of one
//! key wait for each other, and behind one that fails until it gets through. Each destination has its own share of a
//! wave, so one that is out of reach holds up nobody else.

use std::time::Duration;

use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::Error;
use crate::publish::Publisher;
use crate::store::outbox::{self, Message};

/// Messages of one destination in a wave.
const SHARE: i64 = 200;
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);
/// The part of it that a wave leaves for recording what came of it.
const RECORDING: Duration = Duration::from_secs(4);

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Messages that got through.
    pub published: usize,
    /// Attempts that did not; they are repeated.
    pub failed: usize,
    /// Another relay is at work and sees to everything.
    pub left_to_another: bool,
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

    /// Publishes until nothing is left that can be published now, unless another copy does.
    ///
    /// # Errors
    /// Transient when the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        // A run that is cut off, by its deadline or a panic, drops the connection and the lock with it.
        let mut connection = self.database.dedicated().await?;
        if !outbox::lock(&mut connection).await? {
            return Ok(Report {
                left_to_another: true,
                ..Report::default()
            });
        }
        let report = self.publish_all(&mut connection, deadline).await?;
        connection.close().await?;
        Ok(report)
    }

    async fn publish_all(&self, connection: &mut PgConnection, deadline: Deadline) -> Result<Report, Error> {
        let mut report = Report::default();
        metrics::seconds(
            "OutboxOldestAgeSeconds",
            outbox::oldest_age_seconds(connection).await?,
        );
        while deadline.left() > RESERVE {
            let wave = outbox::due(connection, SHARE).await?;
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
        let until = deadline.earlier_by(RECORDING).instant();
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
        outbox::mark(connection, &published, &failed, &reasons).await
    }
}

fn log_failure(message: &Message, reason: &str) {
    tracing::error!(
        outbox_message_id = message.id,
        to = message.destination,
        correlation_id = message.correlation_id(),
        reason,
        "not published"
    );
}
