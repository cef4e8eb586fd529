//! The envelope in which an area publishes to the others that something has happened.

use chrono::{DateTime, Utc};
use domain::ids::{CorrelationId, EventId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An event as it travels over SQS and Kafka. Delivered at least once: consumers dedupe on `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// UUID v7, made once when the event happened; the same in every delivery.
    pub id: EventId,
    /// What happened, for instance `money-flow.succeeded`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Events of one key are delivered in order.
    pub key: String,
    /// The work that caused it.
    pub correlation_id: CorrelationId,
    /// What is to be known about it.
    pub data: T,
}

impl<T> Envelope<T> {
    /// A new event of the work in hand.
    pub fn new(kind: &str, key: impl Into<String>, occurred_at: DateTime<Utc>, data: T) -> Self {
        Self {
            id: EventId::from_uuid(Uuid::now_v7()),
            kind: kind.to_owned(),
            occurred_at,
            key: key.into(),
            correlation_id: crate::observability::correlation::current(),
            data,
        }
    }
}
