//! Sending to Kafka's topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use platform::config::{Environment, FromEnvironment};
use platform::error::chain;
use platform::observability::correlation;
use platform::security::secret::{Rotating, SecretSource};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::kafka::{Cluster, Credentials};
use crate::relay::message::{Message, Outcome, Sending};

/// How long the acknowledgement of messages is waited for.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long librdkafka itself would wait. It gives up message by message, and could deliver one just after an older one of
/// its key was given up; so all are given up together, earlier.
const PRODUCER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long messages that were given up take at most to be reported as such.
const PURGE_TIME: Duration = Duration::from_secs(1);

/// A producer, made anew when it gave up or its credentials are new.
type SharedProducer = Arc<Rotating<FutureProducer>>;

/// Sends to topics.
#[derive(Debug)]
pub(super) struct Kafka {
    cluster: Cluster,
    secret: SecretSource,
    /// Each topic has its own: what a producer gives up, it gives up for all that it was handed.
    producers: Mutex<BTreeMap<(String, Sending), SharedProducer>>,
}

/// A message on its way, or what became of it already.
enum Sent {
    Waiting(DeliveryFuture),
    Done(Outcome),
}

impl FromEnvironment for Kafka {
    /// Reads `KAFKA_*`.
    fn read(environment: &mut Environment) -> Option<Self> {
        let (cluster, secret) = Cluster::with_secret(environment)?;
        Some(Self {
            cluster,
            secret,
            producers: Mutex::default(),
        })
    }
}

impl Kafka {
    /// Sends messages to a topic; gives what became of each, in their order.
    pub(super) async fn publish(
        &self,
        topic: &str,
        messages: &[Message],
        sending: Sending,
        until: Instant,
    ) -> Vec<Outcome> {
        let until = until.min(Instant::now() + DELIVERY_TIMEOUT);
        let producers = self.producers_of(topic, sending).await;
        let making = producers.get(|credentials| self.producer(credentials, sending));
        let producer = match timeout_at(until, making).await {
            Ok(Ok(producer)) => producer,
            Ok(Err(error)) => return all_unreachable(messages, &chain(&error)),
            Err(_) => return all_unreachable(messages, "reading the credentials timed out"),
        };
        let outcomes = blamed(send(&producer, topic, messages, until).await);
        if outcomes.iter().any(|outcome| *outcome != Outcome::Published) {
            // A producer that gave up isn't used again: it may have failed for good. And its credentials may have been
            // replaced, which librdkafka reports as no more than a time-out.
            producers.discard().await;
        }
        outcomes
    }

    async fn producers_of(&self, topic: &str, sending: Sending) -> SharedProducer {
        let mut producers = self.producers.lock().await;
        let made = producers.entry((topic.to_owned(), sending));
        Arc::clone(made.or_insert_with(|| Arc::new(Rotating::new(self.secret.clone()))))
    }
}

fn all_unreachable(messages: &[Message], reason: &str) -> Vec<Outcome> {
    vec![Outcome::Unreachable(reason.to_owned()); messages.len()]
}

async fn send(
    producer: &Arc<FutureProducer>,
    topic: &str,
    messages: &[Message],
    until: Instant,
) -> Vec<Outcome> {
    let mut failed_keys = BTreeSet::new();
    let mut all_sent = Vec::with_capacity(messages.len());
    for message in messages {
        let sent = match failed_keys.contains(message.ordering_key.as_str()) {
            true => Sent::Done(Outcome::NotTried),
            false => enqueue(producer, topic, message),
        };
        if matches!(sent, Sent::Done(_)) {
            failed_keys.insert(message.ordering_key.as_str());
        }
        all_sent.push(sent);
    }
    acknowledged(producer, all_sent, until).await
}

/// Waits for all acknowledgements; whatever isn't acknowledged in time is given up, all at once.
async fn acknowledged(producer: &Arc<FutureProducer>, all_sent: Vec<Sent>, until: Instant) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(all_sent.len());
    let mut given_up_at = None;
    for sent in all_sent {
        let mut delivery = match sent {
            Sent::Done(outcome) => {
                outcomes.push(outcome);
                continue;
            }
            Sent::Waiting(delivery) => delivery,
        };
        let mut answer = timeout_at(given_up_at.unwrap_or(until), &mut delivery).await;
        if answer.is_err() && given_up_at.is_none() {
            producer.purge(PurgeConfig::default().queue().inflight());
            let end = Instant::now() + PURGE_TIME;
            given_up_at = Some(end);
            answer = timeout_at(end, &mut delivery).await;
        }
        outcomes.push(match answer {
            Ok(Ok(Ok(_))) => Outcome::Published,
            Ok(Ok(Err((error, _)))) => outcome_of(&error),
            Ok(Err(_)) | Err(_) => Outcome::Unreachable("no acknowledgement".to_owned()),
        });
    }
    outcomes
}

fn enqueue(producer: &FutureProducer, topic: &str, message: &Message) -> Sent {
    let Some(payload) = &message.payload else {
        return Sent::Done(message.without_event());
    };
    let event_id = message.event_id.to_string();
    let headers = [("event-id", event_id.as_str()), ("event-type", &message.kind)]
        .into_iter()
        .chain(
            message
                .correlation_id
                .as_deref()
                .map(|id| (correlation::HEADER, id)),
        )
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        });
    let record = FutureRecord::to(topic)
        .key(&message.ordering_key)
        .payload(payload)
        .headers(headers);
    match producer.send_result(record) {
        Ok(delivery) => Sent::Waiting(delivery),
        Err((error, _)) => Sent::Done(outcome_of(&error)),
    }
}

/// Messages that were given up together had no fault of their own: those of a message that was refused, which ends the
/// producer; or else those of whoever should have acknowledged them.
fn blamed(mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let has_failed = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_) | Outcome::Unreachable(_));
    if !outcomes.iter().any(has_failed) {
        for outcome in outcomes
            .iter_mut()
            .filter(|outcome| **outcome == Outcome::NotTried)
        {
            *outcome = Outcome::Unreachable("no acknowledgement in time".to_owned());
        }
    }
    outcomes
}

/// Whose fault it is: a message's own, that of whoever takes it, or that of another message.
fn outcome_of(error: &KafkaError) -> Outcome {
    let reason = error.to_string();
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp,
        ) => Outcome::Refused(reason),
        Some(
            RDKafkaErrorCode::Fatal
            | RDKafkaErrorCode::GaplessGuarantee
            | RDKafkaErrorCode::PurgeQueue
            | RDKafkaErrorCode::PurgeInflight,
        ) => Outcome::NotTried,
        _ => Outcome::Unreachable(reason),
    }
}

impl Kafka {
    fn producer(&self, credentials: Option<Credentials>, sending: Sending) -> Result<FutureProducer, Error> {
        producer_settings(&self.cluster, credentials, sending)
            .create()
            .map_err(|error| Error::Kafka(error.to_string()))
    }
}

fn producer_settings(cluster: &Cluster, credentials: Option<Credentials>, sending: Sending) -> ClientConfig {
    let mut settings = cluster.settings(credentials);
    settings
        .set("acks", "all")
        .set("delivery.timeout.ms", PRODUCER_TIMEOUT.as_millis().to_string())
        // A typo in a topic's name has to be an error, not a new topic.
        .set("allow.auto.create.topics", "false");
    match sending {
        // Retries keep the order; and when the broker refuses a message for good, nothing behind it is sent.
        Sending::InOrder => settings
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("linger.ms", "2"),
        Sending::Apart => settings.set("batch.num.messages", "1"),
    };
    settings
}
