//! What is on a Kafka topic.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use serde_json::Value;

use crate::Result;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A message of a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicMessage {
    /// The key.
    pub key: String,
    /// The partition.
    pub partition: i32,
    /// The place in its partition.
    pub offset: i64,
    /// The headers, in their order.
    pub headers: Vec<(String, String)>,
    /// The event.
    pub payload: Value,
}

/// All messages that a topic has now, partition by partition.
///
/// # Errors
/// When the brokers don't answer.
pub async fn topic_messages(brokers: &str, topic: &str) -> Result<Vec<TopicMessage>> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read(&brokers, &topic)).await?
}

fn read(brokers: &str, topic: &str) -> Result<Vec<TopicMessage>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "end-to-end")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let described = metadata.topics().first().context("the topic is not there")?;
    let mut assignment = TopicPartitionList::new();
    // Where each partition ends now. Others go on publishing: what comes after that is not waited for, nor does it
    // stand for a message of a partition that is read more slowly.
    let mut ends = BTreeMap::new();
    for partition in described.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
        if low < high {
            ends.insert(partition.id(), high);
        }
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut messages = Vec::new();
    while !ends.is_empty() {
        let message = consumer
            .poll(TIMEOUT)
            .with_context(|| format!("the topic's messages up to {ends:?} did not come"))??;
        match ends.get(&message.partition()) {
            Some(end) if message.offset() + 1 == *end => {
                ends.remove(&message.partition());
            }
            Some(_) => {}
            None => continue,
        }
        let headers = message
            .headers()
            .map(|headers| headers.iter().map(of_header).collect());
        messages.push(TopicMessage {
            key: text(message.key()),
            partition: message.partition(),
            offset: message.offset(),
            headers: headers.unwrap_or_default(),
            payload: serde_json::from_slice(message.payload().unwrap_or_default())?,
        });
    }
    messages.sort_by_key(|message| (message.partition, message.offset));
    Ok(messages)
}

fn of_header(header: rdkafka::message::Header<'_, &[u8]>) -> (String, String) {
    (header.key.to_owned(), text(header.value))
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
