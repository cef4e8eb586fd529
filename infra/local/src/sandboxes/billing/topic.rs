//! The topic on which Billing tells payments.

use std::time::Duration;

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

const SENT_WITHIN: Duration = Duration::from_secs(10);

/// Where payments are told.
#[derive(Debug, Clone)]
pub struct PaymentTopic {
    /// The Kafka brokers.
    pub brokers: String,
    /// The topic.
    pub topic: String,
}

/// Sends messages; nowhere, when there is no topic.
pub(super) struct Sender(Option<(FutureProducer, String)>);

impl std::fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Sender")
            .field(&self.0.as_ref().map(|(_, topic)| topic))
            .finish()
    }
}

impl Sender {
    pub(super) fn new(topic: Option<PaymentTopic>) -> anyhow::Result<Self> {
        let Some(PaymentTopic { brokers, topic }) = topic else {
            return Ok(Self(None));
        };
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .create()
            .context("no producer of payments can be made")?;
        Ok(Self(Some((producer, topic))))
    }

    /// Sends a message and waits until the broker has it.
    pub(super) async fn send(&self, key: &str, text: &str) -> anyhow::Result<()> {
        let Some((producer, topic)) = &self.0 else {
            return Ok(());
        };
        let record = FutureRecord::to(topic).key(key).payload(text);
        let sent = producer.send(record, SENT_WITHIN).await;
        sent.map_err(|(error, _)| error)
            .context("telling a payment failed")?;
        Ok(())
    }
}
