//! From a topic to its function: a consumer group's partitions, each in its order and at its own pace.
//!
//! Differences from AWS: a batch has records of one partition, and a partition that moves to another member of its group
//! is given up at once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer, StreamConsumer},
    message::{BorrowedMessage, Headers},
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use super::{
    Context, filter,
    gate::Gate,
    ordered::{Batches, Kind, Placed},
    outcome::record_of_topic,
};
use crate::{
    template::KafkaSource,
    util::{lock, set},
};

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// How long one receive waits for a record. Closing the gate waits for it.
const LONG_POLL: Duration = Duration::from_secs(1);
/// Records of a partition that wait before reading on waits as well.
const WAITING: usize = 1000;

pub(super) fn start(
    context: &Arc<Context>,
    function: &str,
    source: &KafkaSource,
    gate: &Gate,
) -> JoinHandle<()> {
    let poller = Poller {
        context: Arc::clone(context),
        function: function.to_owned(),
        source: source.clone(),
        gate: gate.clone(),
    };
    tokio::spawn(async move {
        loop {
            if let Err(error) = poller.follow().await {
                tracing::warn!(topic = poller.source.topic, "reading the topic failed: {error:#}");
            }
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    })
}

struct Poller {
    context: Arc<Context>,
    function: String,
    source: KafkaSource,
    gate: Gate,
}

impl Poller {
    async fn follow(&self) -> anyhow::Result<()> {
        let consumer = Arc::new(self.consumer()?);
        consumer.subscribe(&[&self.source.topic])?;
        // Dropped with this future, and the work on the partitions with it.
        let mut work = JoinSet::new();
        let mut partitions: BTreeMap<i32, mpsc::Sender<Placed>> = BTreeMap::new();
        loop {
            let receive = tokio::time::timeout(LONG_POLL, consumer.recv());
            let Ok(received) = self.gate.take(receive).await else {
                continue;
            };
            let message = received.context("receive")?;
            let partition = message.partition();
            let lane = partitions
                .entry(partition)
                .or_insert_with(|| self.start_partition(&mut work, &consumer, partition));
            let placed = Placed {
                place: u64::try_from(message.offset())?,
                record: to_json(&message),
            };
            lane.send(placed)
                .await
                .context("the work on the partition has ended")?;
        }
    }

    fn consumer(&self) -> anyhow::Result<StreamConsumer> {
        let group = match &self.source.consumer_group {
            Some(group) => group.clone(),
            None => format!("lambda-{}-{}", self.function, self.source.topic),
        };
        let start = match self.source.records.from_start {
            true => "earliest",
            false => "latest",
        };
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &self.context.kafka_brokers)
            .set("group.id", group)
            .set("auto.offset.reset", start)
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            // A batch that fails again and again is no reason to lose the partition.
            .set("max.poll.interval.ms", "86400000")
            .create()?;
        Ok(consumer)
    }

    fn start_partition(
        &self,
        work: &mut JoinSet<()>,
        consumer: &Arc<StreamConsumer>,
        partition: i32,
    ) -> mpsc::Sender<Placed> {
        let (lane, records) = mpsc::channel(WAITING);
        let (wanted, matching) = mpsc::channel(WAITING);
        let batches = Batches {
            context: Arc::clone(&self.context),
            function: self.function.clone(),
            source: self.source.topic.clone(),
            rules: self.source.records.clone(),
            kind: Topic {
                brokers: self.context.kafka_brokers.clone(),
            },
        };
        let commits = Commits {
            consumer: Arc::clone(consumer),
            topic: self.source.topic.clone(),
            partition,
            open: Mutex::default(),
        };
        let commits = Arc::new(commits);
        work.spawn(choose(
            records,
            wanted,
            self.source.records.filters.clone(),
            Arc::clone(&commits),
        ));
        work.spawn(async move { batches.run(matching, |offsets| commits.done(offsets)).await });
        lane
    }
}

/// Lets through what a pattern matches; the rest is done with, in its turn.
async fn choose(
    mut records: mpsc::Receiver<Placed>,
    wanted: mpsc::Sender<Placed>,
    patterns: Vec<Value>,
    commits: Arc<Commits>,
) {
    while let Some(placed) = records.recv().await {
        commits.open(placed.place);
        if !filter::matches(&patterns, &as_matched(&placed.record)) {
            commits.done(&[placed.place]);
        } else if wanted.send(placed).await.is_err() {
            return;
        }
    }
}

/// A pattern looks into keys and values that are text, and into values that are JSON.
fn as_matched(record: &Value) -> Value {
    let mut matched = record.clone();
    for name in ["key", "value"] {
        let text = record.get(name).and_then(Value::as_str);
        let text = text.and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
        if let Some(text) = text {
            let json = serde_json::from_str(&text);
            set(&mut matched, name, json.unwrap_or(Value::String(text)));
        }
    }
    matched
}

/// The offsets of a partition that are done with.
struct Commits {
    consumer: Arc<StreamConsumer>,
    topic: String,
    partition: i32,
    /// Whether each is done that was read and comes after the last one committed.
    open: Mutex<BTreeMap<u64, bool>>,
}

impl Commits {
    fn open(&self, offset: u64) {
        lock(&self.open).insert(offset, false);
    }

    fn done(&self, offsets: &[u64]) {
        let mut open = lock(&self.open);
        for offset in offsets {
            open.insert(*offset, true);
        }
        let mut last = None;
        while let Some(first) = open.first_entry().filter(|first| *first.get()) {
            last = Some(first.remove_entry().0);
        }
        drop(open);
        if let Some(last) = last
            && let Err(error) = self.commit(last)
        {
            tracing::warn!(
                topic = self.topic,
                partition = self.partition,
                "committing failed: {error:#}"
            );
        }
    }

    fn commit(&self, last: u64) -> anyhow::Result<()> {
        let mut offsets = TopicPartitionList::new();
        let next = Offset::Offset(i64::try_from(last)?.saturating_add(1));
        offsets.add_partition_offset(&self.topic, self.partition, next)?;
        Ok(self.consumer.commit(&offsets, CommitMode::Async)?)
    }
}

/// Records of a topic.
struct Topic {
    brokers: String,
}

impl Kind for Topic {
    fn id(&self, record: &Value) -> String {
        let offset = record.get("offset").and_then(Value::as_i64).unwrap_or(-1);
        record_of_topic(&partition_of(record), offset)
    }

    fn event(&self, records: &[Value]) -> Value {
        let mut by_partition: Map<String, Value> = Map::new();
        for record in records {
            let partition = by_partition
                .entry(partition_of(record))
                .or_insert_with(|| json!([]));
            if let Some(partition) = partition.as_array_mut() {
                partition.push(record.clone());
            }
        }
        json!({
            "eventSource": "SelfManagedKafka",
            "bootstrapServers": self.brokers,
            "records": by_partition,
        })
    }

    fn written_at(&self, record: &Value) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(record.get("timestamp")?.as_i64()?)
    }

    fn position(&self, records: &[Value]) -> (&'static str, Value) {
        let offset = |record: Option<&Value>| {
            record
                .and_then(|record| record.get("offset"))
                .map(Value::to_string)
        };
        let written = |record: Option<&Value>| {
            let at = record.and_then(|record| self.written_at(record));
            at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        };
        let partition = records.first().map(partition_of).unwrap_or_default();
        let position = json!({
            "batchSize": records.len(),
            "bootstrapServers": self.brokers,
            "recordsInfo": { partition: {
                "firstRecordOffset": offset(records.first()),
                "lastRecordOffset": offset(records.last()),
                "firstRecordTimestamp": written(records.first()),
                "lastRecordTimestamp": written(records.last()),
            } },
        });
        ("KafkaBatchInfo", position)
    }
}

/// `TOPIC-NUMBER`, as Lambda names partitions.
fn partition_of(record: &Value) -> String {
    let topic = record.get("topic").and_then(Value::as_str).unwrap_or_default();
    let partition = record.get("partition").and_then(Value::as_i64).unwrap_or(-1);
    format!("{topic}-{partition}")
}

/// A record as Lambda shows it to a function: bytes as base64, those of headers as numbers.
fn to_json(message: &BorrowedMessage<'_>) -> Value {
    let mut record = json!({
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp().to_millis(),
        "timestampType": "CREATE_TIME",
        "headers": [],
    });
    if let Some(key) = message.key() {
        set(&mut record, "key", json!(STANDARD.encode(key)));
    }
    if let Some(value) = message.payload() {
        set(&mut record, "value", json!(STANDARD.encode(value)));
    }
    if let Some(headers) = message.headers() {
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            HashMap::from([(header.key.to_owned(), header.value.map(<[u8]>::to_vec))])
        };
        set(
            &mut record,
            "headers",
            json!(headers.iter().map(header).collect::<Vec<_>>()),
        );
    }
    record
}
