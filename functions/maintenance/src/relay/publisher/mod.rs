//! Sending messages of the outbox to where they go.

mod kafka;
mod sqs;

use tokio::time::Instant;

use self::kafka::Kafka;
use self::sqs::Queues;
use super::destination::Destination;
use super::message::{Message, Outcome, Sending};

/// Sends messages to queues and topics.
#[derive(Debug)]
pub(super) struct Publisher {
    queues: Queues,
    kafka: Kafka,
}

platform::from_environment!(Publisher { queues, kafka });

impl Publisher {
    /// Sends the messages, and gives what became of each, in their order. One that isn't acknowledged until then was out
    /// of reach; behind a message that failed none of its key is sent.
    pub(super) async fn publish(
        &self,
        destination: &Destination,
        messages: Vec<Message>,
        sending: Sending,
        until: Instant,
    ) -> Vec<(Message, Outcome)> {
        if messages.is_empty() {
            return Vec::new();
        }
        let outcomes = match destination.is_topic() {
            true => {
                self.kafka
                    .publish(&destination.name, &messages, sending, until)
                    .await
            }
            false => self.queues.publish(&destination.name, &messages, until).await,
        };
        messages.into_iter().zip(outcomes).collect()
    }
}
