//! The outbox: events are rows, written in the transaction of the change they report, and published by the
//! relay at least once, in order per key and destination.

use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::PlatformError;
use crate::messaging::event::Envelope;

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
    publish_all(connection, std::slice::from_ref(event), destinations).await
}

/// Writes the event for a queue whose name isn't known beforehand.
///
/// # Errors
/// When the event can't be written as JSON or the database fails.
pub(crate) async fn publish_to_queue<T: Serialize>(
    connection: &mut PgConnection,
    event: &Envelope<T>,
    queue: &str,
) -> Result<(), PlatformError> {
    sqlx::query!(
        "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
         VALUES ($1, $2, $3, $4, 'queue', $5)",
        event.id.as_uuid(),
        event.kind,
        event.key,
        serde_json::to_value(event)?,
        queue,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes many events for each of their destinations, in their order, in one statement.
///
/// # Errors
/// When an event can't be written as JSON or the database fails.
pub async fn publish_all<T: Serialize>(
    connection: &mut PgConnection,
    events: &[Envelope<T>],
    destinations: &[Destination],
) -> Result<(), PlatformError> {
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.as_uuid()).collect();
    let kinds: Vec<String> = events.iter().map(|event| event.kind.clone()).collect();
    let keys: Vec<String> = events.iter().map(|event| event.key.clone()).collect();
    let payloads: Vec<Value> = events
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    let destination_kinds: Vec<String> = destinations.iter().map(|to| to.kind().to_owned()).collect();
    let names: Vec<String> = destinations.iter().map(|to| to.name().to_owned()).collect();
    sqlx::query!(
        "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
         SELECT event_id, kind, ordering_key, payload, destination_kind, destination \
         FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::JSONB[]) WITH ORDINALITY \
              AS event (event_id, kind, ordering_key, payload, place) \
         CROSS JOIN unnest($5::TEXT[], $6::TEXT[]) AS to_publish (destination_kind, destination) \
         ORDER BY place",
        &ids,
        &kinds,
        &keys,
        &payloads,
        &destination_kinds,
        &names,
    )
    .execute(connection)
    .await?;
    Ok(())
}
