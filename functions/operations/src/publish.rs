//! Sending a message of the outbox to where it goes.

use std::time::Duration;

use aws_sdk_sqs::types::MessageAttributeValue;
use platform::config::Environment;
use platform::correlation;
use platform::problem::chain;
use platform::secret::SecretSource;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::Error;
use crate::store::outbox::Message;

/// How long one message may take to be acknowledged.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends messages to queues and topics.
pub(crate) struct Publisher {
    domain_events: String,
    portfolio_changes: String,
    brokers: String,
    security_protocol: String,
    kafka_secret: Option<SecretSource>,
    producer: OnceCell<FutureProducer>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Publisher")
            .field("brokers", &self.brokers)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct KafkaCredentials {
    username: String,
    password: String,
}

impl Publisher {
    /// Reads the queues' addresses and `KAFKA_*`. The secret is needed unless `KAFKA_SECURITY_PROTOCOL` is PLAINTEXT.
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let domain_events = environment.required("QUEUE_DOMAIN_EVENTS_URL");
        let portfolio_changes = environment.required("QUEUE_PORTFOLIO_CHANGES_URL");
        let brokers = environment.required("KAFKA_BROKERS");
        let security_protocol: Option<String> = environment.required("KAFKA_SECURITY_PROTOCOL");
        let is_plain = security_protocol.as_deref() == Some("PLAINTEXT");
        let kafka_secret = if is_plain {
            None
        } else {
            SecretSource::read(environment, "KAFKA_SECRET")
        };
        Some(Self {
            domain_events: domain_events?,
            portfolio_changes: portfolio_changes?,
            brokers: brokers?,
            security_protocol: security_protocol?,
            kafka_secret,
            producer: OnceCell::new(),
        })
    }

    /// Sends one message; the reason when it was not acknowledged.
    pub(crate) async fn publish(&self, message: &Message) -> Result<(), String> {
        match message.destination_kind.as_str() {
            "topic" => self.to_topic(message).await,
            _ => self.to_queue(message).await,
        }
    }

    async fn to_topic(&self, message: &Message) -> Result<(), String> {
        let producer = self
            .producer
            .get_or_try_init(|| self.connect())
            .await
            .map_err(|error| chain(&error))?;
        let payload = message.payload.to_string();
        let event_id = message.event_id.to_string();
        let headers = [("event-id", event_id.as_str()), ("event-type", &message.kind)]
            .into_iter()
            .chain(message.correlation_id().map(|id| (correlation::HEADER, id)))
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        let record = FutureRecord::to(&message.destination)
            .key(&message.ordering_key)
            .payload(&payload)
            .headers(headers);
        producer
            .send(record, DELIVERY_TIMEOUT)
            .await
            .map(|_| ())
            .map_err(|(error, _)| error.to_string())
    }

    async fn connect(&self) -> Result<FutureProducer, Error> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("security.protocol", &self.security_protocol)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            .set("delivery.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
            // A typo in a topic's name has to be an error, not a new topic.
            .set("allow.auto.create.topics", "false");
        if let Some(secret) = &self.kafka_secret {
            let credentials: KafkaCredentials = secret.load().await?;
            config
                .set("sasl.mechanisms", "SCRAM-SHA-512")
                .set("sasl.username", credentials.username)
                .set("sasl.password", credentials.password);
        }
        config.create().map_err(|error| Error::Kafka(error.to_string()))
    }

    async fn to_queue(&self, message: &Message) -> Result<(), String> {
        let (url, is_fifo) = match message.destination.as_str() {
            "domain-events" => (&self.domain_events, false),
            "portfolio-changes" => (&self.portfolio_changes, true),
            other => return Err(format!("no queue {other} is configured")),
        };
        let mut sending = platform::aws::sqs()
            .await
            .send_message()
            .queue_url(url)
            .message_body(message.payload.to_string());
        if let Some(id) = message.correlation_id() {
            let attribute = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(id)
                .build();
            let attribute = attribute.map_err(|error| error.to_string())?;
            sending = sending.message_attributes(correlation::ATTRIBUTE, attribute);
        }
        if is_fifo {
            sending = sending
                .message_group_id(&message.ordering_key)
                .message_deduplication_id(message.event_id.to_string());
        }
        sending.send().await.map(|_| ()).map_err(|error| chain(&error))
    }
}
