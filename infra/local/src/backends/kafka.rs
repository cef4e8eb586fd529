//! Kafka: the mock cluster of librdkafka, a real listener inside this process.
//!
//! Its port is a free one: librdkafka takes no other. It creates unknown topics by itself with four partitions, so a misspelt topic is no error here; it keeps at most
//! 5 MiB or 100,000 messages per partition; and it does not isolate transactions.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;

use super::TopicSpec;

/// How long the answer to one count may take.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

/// A running Kafka cluster of one broker.
#[derive(Debug)]
pub struct Kafka {
    brokers: String,
    topics: Vec<TopicSpec>,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Kafka {
    /// Starts the broker and creates the topics.
    pub async fn start(topics: &[TopicSpec]) -> anyhow::Result<Self> {
        let topics = topics.to_vec();
        let declared = topics.clone();
        let (report, started) = tokio::sync::oneshot::channel();
        let (stop, stopped) = mpsc::channel();
        // The cluster may not change threads, so it lives and ends in one of its own.
        let thread = std::thread::Builder::new()
            .name("kafka".to_owned())
            .spawn(move || match create(&topics) {
                Ok((cluster, brokers)) => {
                    if report.send(Ok(brokers)).is_ok() {
                        // Ends by its signal, or when the handle is dropped.
                        let _ = stopped.recv();
                    }
                    drop(cluster);
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            })?;
        let brokers = started.await.context("the thread of the Kafka broker ended")??;
        Ok(Self {
            brokers,
            topics: declared,
            stop,
            thread,
        })
    }

    /// The `bootstrap.servers` of the cluster.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// How many messages each declared topic has, if it has any.
    pub(crate) async fn count(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let (brokers, topics) = (self.brokers.clone(), self.topics.clone());
        tokio::task::spawn_blocking(move || count(&brokers, &topics)).await?
    }

    /// Ends the broker; messages are lost.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        tokio::task::spawn_blocking(move || self.thread.join())
            .await?
            .map_err(|_| anyhow::anyhow!("the thread of the Kafka broker panicked"))
    }
}

type Cluster = MockCluster<'static, rdkafka::producer::DefaultProducerContext>;

fn create(topics: &[TopicSpec]) -> anyhow::Result<(Cluster, String)> {
    let cluster = MockCluster::new(1).context("cannot start the Kafka broker")?;
    for topic in topics {
        cluster
            .create_topic(&topic.name, topic.partitions, 1)
            .with_context(|| format!("cannot create the topic {}", topic.name))?;
    }
    let brokers = cluster.bootstrap_servers();
    Ok((cluster, brokers))
}

fn count(brokers: &str, topics: &[TopicSpec]) -> anyhow::Result<BTreeMap<String, usize>> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let mut counts = BTreeMap::new();
    for topic in topics {
        let mut messages = 0;
        for partition in 0..topic.partitions {
            let (oldest, next) = consumer.fetch_watermarks(&topic.name, partition, COUNTED_WITHIN)?;
            messages += usize::try_from(next.saturating_sub(oldest)).unwrap_or_default();
        }
        if messages > 0 {
            counts.insert(topic.name.clone(), messages);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::{FutureProducer, FutureRecord};

    use super::*;

    #[tokio::test]
    async fn topics_have_the_declared_partitions_and_take_messages() {
        let topics = [TopicSpec {
            name: "trading.events".to_owned(),
            partitions: 3,
        }];
        let kafka = Kafka::start(&topics).await.unwrap();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", kafka.brokers())
            .set("enable.idempotence", "true");
        let producer: FutureProducer = config.create().unwrap();
        let record = FutureRecord::to("trading.events").key("1").payload("{}");
        producer.send(record, Duration::from_secs(10)).await.unwrap();

        let partitions = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.create().unwrap();
            let metadata = consumer
                .fetch_metadata(Some("trading.events"), Duration::from_secs(10))
                .unwrap();
            metadata.topics()[0].partitions().len()
        });
        assert_eq!(partitions.await.unwrap(), 3);
        drop(producer);
        let expected = BTreeMap::from([("trading.events".to_owned(), 1)]);
        assert_eq!(kafka.count().await.unwrap(), expected);
        kafka.stop().await.unwrap();
    }
}
