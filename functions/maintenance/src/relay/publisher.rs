//! Sending messages of the outbox to where they go.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::types::MessageAttributeValue;
use futures::future::{join, join_all};
use platform::config::{Environment, FromEnvironment};
use platform::error::chain;
use platform::observability::correlation;
use platform::security::secret::{Rotating, SecretSource};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::store::Message;
use crate::Error;

/// How long one message may take to be acknowledged.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The outcome of one message: the reason when it was not acknowledged.
type Outcome = Result<(), String>;

/// Sends messages to queues and topics.
#[derive(Debug)]
pub(super) struct Publisher {
    /// URLs by the middle part of their variables: `DOMAIN_EVENTS`.
    queues: BTreeMap<String, String>,
    kafka: Kafka,
    producer: Rotating<FutureProducer>,
}

/// How Kafka is reached.
#[derive(Debug)]
struct Kafka {
    brokers: String,
    security_protocol: String,
    certificates: String,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: SecretString,
}

impl FromEnvironment for Publisher {
    /// Reads the queues' URLs, `QUEUE_*_URL`, and `KAFKA_*`. The secret is needed unless `KAFKA_SECURITY_PROTOCOL` is
    /// PLAINTEXT.
    fn read(environment: &mut Environment) -> Option<Self> {
        let queues = environment.between("QUEUE_", "_URL");
        if queues.is_empty() {
            environment.problem("no QUEUE_…_URL is set".to_owned());
        }
        let kafka = Kafka::read(environment);
        let secret = match &kafka {
            Some(kafka) if kafka.security_protocol == "PLAINTEXT" => Some(SecretSource::none("KAFKA_SECRET")),
            _ => SecretSource::read(environment, "KAFKA_SECRET"),
        };
        Some(Self {
            queues,
            kafka: kafka?,
            producer: Rotating::new(secret?),
        })
    }
}

impl Publisher {
    /// Sends the messages side by side; one that isn't acknowledged until then has failed.
    pub(super) async fn publish<'a>(
        &self,
        wave: &'a [Message],
        until: Instant,
    ) -> Vec<(&'a Message, Outcome)> {
        let (to_topics, to_queues): (Vec<_>, Vec<_>) = wave
            .iter()
            .partition(|message| message.destination_kind == "topic");
        let of_queues = join_all(
            to_queues
                .iter()
                .map(|message| within(until, self.to_queue(message))),
        );
        let (of_topics, of_queues) = join(self.to_topics(&to_topics, until), of_queues).await;
        let messages = to_topics.into_iter().chain(to_queues);
        messages.zip(of_topics.into_iter().chain(of_queues)).collect()
    }

    async fn to_topics(&self, messages: &[&Message], until: Instant) -> Vec<Outcome> {
        if messages.is_empty() {
            return Vec::new();
        }
        let connecting = async {
            let made = self
                .producer
                .get(|credentials| self.kafka.producer(credentials))
                .await;
            made.map_err(|error| chain(&error))
        };
        // Once for all of them: each would wait for the secret and fail by itself.
        let producer = match within(until, connecting).await {
            Ok(producer) => producer,
            Err(reason) => return messages.iter().map(|_| Err(reason.clone())).collect(),
        };
        let sending = messages
            .iter()
            .map(|message| within(until, to_topic(&producer, message)));
        let outcomes = join_all(sending).await;
        if outcomes.iter().all(Result::is_err) {
            // With credentials that were replaced librdkafka keeps trying, and reports no more than a time-out.
            self.producer.invalidate().await;
        }
        outcomes
    }

    async fn to_queue(&self, message: &Message) -> Outcome {
        let name = message.destination.to_uppercase().replace('-', "_");
        let Some(url) = self.queues.get(&name) else {
            return Err(format!("QUEUE_{name}_URL is not set"));
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
        if url.ends_with(".fifo") {
            sending = sending
                .message_group_id(&message.ordering_key)
                .message_deduplication_id(message.event_id.to_string());
        }
        sending.send().await.map(|_| ()).map_err(|error| chain(&error))
    }
}

impl FromEnvironment for Kafka {
    fn read(environment: &mut Environment) -> Option<Self> {
        let brokers = environment.required("KAFKA_BROKERS");
        let security_protocol = environment.required("KAFKA_SECURITY_PROTOCOL");
        // OpenSSL is linked statically and looks for certificates where no system has them. `probe` has librdkafka
        // try where systems do, /etc/pki/tls/certs/ca-bundle.crt of Amazon Linux first.
        let certificates = environment.optional("KAFKA_CA_LOCATION");
        Some(Self {
            brokers: brokers?,
            security_protocol: security_protocol?,
            certificates: certificates.unwrap_or_else(|| "probe".to_owned()),
        })
    }
}

impl Kafka {
    fn producer(&self, credentials: Option<Credentials>) -> Result<FutureProducer, Error> {
        self.settings(credentials)
            .create()
            .map_err(|error| Error::Kafka(error.to_string()))
    }

    fn settings(&self, credentials: Option<Credentials>) -> ClientConfig {
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", &self.brokers)
            .set("security.protocol", &self.security_protocol)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            .set("delivery.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
            // A typo in a topic's name has to be an error, not a new topic.
            .set("allow.auto.create.topics", "false");
        if self.security_protocol.ends_with("SSL") {
            settings.set("ssl.ca.location", &self.certificates);
        }
        if let Some(credentials) = credentials {
            settings
                .set("sasl.mechanisms", "SCRAM-SHA-512")
                .set("sasl.username", credentials.username)
                .set("sasl.password", credentials.password.expose_secret());
        }
        settings
    }
}

async fn to_topic(producer: &FutureProducer, message: &Message) -> Outcome {
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

async fn within<T>(until: Instant, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout_at(until, work)
        .await
        .unwrap_or_else(|_| Err("timed out".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(security_protocol: &str, more: &[(&str, &str)]) -> Environment {
        let own = [
            ("QUEUE_DOMAIN_EVENTS_URL", "http://queues/domain-events"),
            ("KAFKA_BROKERS", "broker:9096"),
            ("KAFKA_SECURITY_PROTOCOL", security_protocol),
        ];
        let all = own.iter().chain(more);
        Environment::of(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn brokers_are_verified_by_the_systems_certificates() {
        let kafka = Kafka::read(&mut environment("SASL_SSL", &[])).unwrap();
        let credentials = Credentials {
            username: "moneta".to_owned(),
            password: SecretString::from("secret"),
        };
        let settings = kafka.settings(Some(credentials));
        assert_eq!(settings.get("ssl.ca.location"), Some("probe"));
        assert_eq!(settings.get("sasl.username"), Some("moneta"));
    }

    #[test]
    fn brokers_are_verified_by_a_given_certificate_authority() {
        let own = [("KAFKA_CA_LOCATION", "/opt/ca.pem")];
        let kafka = Kafka::read(&mut environment("SSL", &own)).unwrap();
        assert_eq!(kafka.settings(None).get("ssl.ca.location"), Some("/opt/ca.pem"));
    }

    #[test]
    fn plain_kafka_needs_neither_certificates_nor_a_secret() {
        let mut environment = environment("PLAINTEXT", &[]);
        let publisher = Publisher::read(&mut environment).unwrap();
        assert_eq!(publisher.kafka.settings(None).get("ssl.ca.location"), None);
        assert!(environment.finish(Some(())).is_ok());
    }

    #[test]
    fn kafka_with_sasl_needs_its_secret() {
        let mut environment = environment("SASL_SSL", &[]);
        assert!(Publisher::read(&mut environment).is_none());
        let error = environment.finish(Some(())).unwrap_err();
        assert!(error.to_string().contains("KAFKA_SECRET_ARN"), "{error}");
    }
}
