//! A message of the outbox, how it is sent, and what became of that.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A message to publish.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) event_id: Uuid,
    pub(super) kind: String,
    pub(super) ordering_key: String,
    /// The event as JSON; none when the row that it is read from isn't there.
    pub(super) payload: Option<String>,
    /// The work that caused the event.
    pub(super) correlation_id: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    /// An earlier message of its key failed, so it has to wait.
    pub(super) is_held: bool,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was acknowledged.
    Published,
    /// Whatever is tried again, this message won't get through as it is.
    Refused(String),
    /// Whoever takes it couldn't be reached, or didn't acknowledge it in time.
    Unreachable(String),
    /// It was given up with others before it, through no fault of its own.
    NotTried,
}

/// How messages are sent that belong to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sending {
    /// Without waiting for each acknowledgement; those of a key stay in their order.
    InOrder,
    /// Each for itself, so that one that is refused takes no other with it. There is one of a key.
    Apart,
}

impl Message {
    /// Why a message without its event can't be sent.
    pub(super) fn without_event(&self) -> Outcome {
        Outcome::Refused(format!(
            "the event of message {} isn't where its source says",
            self.id
        ))
    }
}
