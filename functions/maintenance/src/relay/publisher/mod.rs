//! Sending messages of the outbox to where they go.

mod kafka;
mod sqs;

use platform::config::Environment;
use tokio::time::Instant;

use self::kafka::Kafka;
use self::sqs::Queues;
use super::destination::Destination;
use super::message::{Message, Outcome, Sending};
use crate::kafka::Cluster;

/// Sends messages to queues and topics.
#[derive(Debug)]
pub(super) struct Publisher {
    queues: Queues,
    /// None where the company has no Kafka.
    kafka: Option<Kafka>,
}

platform::from_environment!(Publisher {
    queues,
    kafka: |environment: &mut Environment| match Cluster::is_there(environment) {
        true => Kafka::read(environment).map(Some),
        false => Some(None),
    },
});

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
        let name = &destination.name;
        let outcomes = match (destination.is_topic(), &self.kafka) {
            (true, Some(kafka)) => kafka.publish(name, &messages, sending, until).await,
            // Nobody listens to topics, and whoever will one day begins with that day's events. Rows that waited for it
            // would only grow in number.
            (true, None) => vec![Outcome::Published; messages.len()],
            (false, _) => self.queues.publish(name, &messages, until).await,
        };
        messages.into_iter().zip(outcomes).collect()
    }
}
