//! Reading a Kafka topic from its beginning.

use std::time::Duration;

use anyhow::Context;
use rdkafka::{
    ClientConfig, Message,
    consumer::{Consumer, StreamConsumer},
};
use serde_json::Value;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
const QUIET: Duration = Duration::from_millis(500);

/// A topic, message by message.
pub(super) struct Topic(StreamConsumer);

impl Topic {
    pub(super) fn open(brokers: &str, topic: &str) -> anyhow::Result<Self> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", format!("demo-{topic}"))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .create()?;
        consumer.subscribe(&[topic])?;
        Ok(Self(consumer))
    }

    /// The next message, once it is there.
    pub(super) async fn next(&self) -> anyhow::Result<Value> {
        let message = timeout(PATIENCE, self.0.recv())
            .await
            .context("nothing came on the topic")??;
        Ok(serde_json::from_slice(message.payload().unwrap_or_default())?)
    }

    /// Whether nothing more comes for a moment.
    pub(super) async fn is_at_its_end(&self) -> bool {
        timeout(QUIET, self.0.recv()).await.is_err()
    }
}
