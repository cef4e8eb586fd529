//! The outbox: events are rows, written in the transaction of the change they tell of, and published by the
//! relay at least once, in order per key and destination.

use serde::Serialize;
use sqlx::PgConnection;

use crate::error::PlatformError;
use crate::event::Envelope;

/// Where an event goes. Names are the short ones of the template (`domain-events`, `trading.events`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A Kafka topic.
    Topic(&'static str),
    /// An SQS queue; on a FIFO queue the event's key is the message group.
    Queue(&'static str),
}

impl Destination {
    fn kind(self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::Queue(_) => "queue",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Topic(name) | Self::Queue(name) => name,
        }
    }
}

/// Writes the event for each of its destinations, in one statement.
///
/// # Errors
/// When the event can't be written as JSON or the database fails.
pub async fn publish<T: Serialize>(
    connection: &mut PgConnection,
    event: &Envelope<T>,
    destinations: &[Destination],
) -> Result<(), PlatformError> {
    let kinds: Vec<String> = destinations.iter().map(|to| to.kind().to_owned()).collect();
    let names: Vec<String> = destinations.iter().map(|to| to.name().to_owned()).collect();
    sqlx::query!(
        "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
         SELECT $1, $2, $3, $4, destination_kind, destination \
         FROM unnest($5::TEXT[], $6::TEXT[]) AS to_publish (destination_kind, destination)",
        event.id.as_uuid(),
        event.kind,
        event.key,
        serde_json::to_value(event)?,
        &kinds,
        &names,
    )
    .execute(connection)
    .await?;
    Ok(())
}
