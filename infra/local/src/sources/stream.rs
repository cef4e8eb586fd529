//! From a table's stream to its function: records in the order of each item, in as many lanes as batches are worked on at
//! the same time.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

use super::{
    Context, filter,
    gate::Gate,
    ordered::{Batches, Kind, Placed},
};
use crate::{template::StreamSource, util::lock};

/// How long an empty stream is left alone that doesn't say when something is written.
const PAUSE_WHEN_EMPTY: Duration = Duration::from_millis(200);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// Records that wait in a lane before reading on waits as well.
const LANE: usize = 1000;

pub(super) fn start(
    context: &Arc<Context>,
    function: &str,
    source: &StreamSource,
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
                tracing::warn!(
                    table = poller.source.table,
                    "reading the stream failed: {error:#}"
                );
            }
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    })
}

struct Poller {
    context: Arc<Context>,
    function: String,
    source: StreamSource,
    gate: Gate,
}

/// How far the records are done with that were read.
struct Checkpoint {
    file: PathBuf,
    arn: String,
    progress: Mutex<Progress>,
}

/// Records by their places, of which the first isn't done with; behind it, lanes may be ahead.
#[derive(Default)]
struct Progress {
    next_place: u64,
    open: BTreeMap<u64, Reached>,
}

struct Reached {
    sequence: String,
    is_done: bool,
}

impl Poller {
    /// Reads the stream's shard to its end, which an embedded stream doesn't have.
    async fn follow(&self) -> anyhow::Result<()> {
        let table = self
            .context
            .tables
            .describe_table()
            .table_name(&self.source.table)
            .send()
            .await?;
        let arn = table.table.and_then(|table| table.latest_stream_arn);
        let arn = arn.ok_or_else(|| anyhow!("the table has no stream"))?;
        let shard = self.shard(&arn).await?;
        let checkpoint = Arc::new(self.checkpoint(&arn));
        // Dropped with this future, and the work of the lanes with it.
        let mut work = JoinSet::new();
        let lanes = self.start_lanes(&mut work, &arn, &shard, &checkpoint);
        let mut answered = self.context.tables_answered.clone();
        let mut iterator = Some(self.iterator(&arn, &shard, &checkpoint).await?);
        while let Some(position) = iterator.take() {
            if let Some(answered) = &mut answered {
                answered.mark_unchanged();
            }
            let read = self
                .context
                .streams
                .get_records()
                .shard_iterator(&position)
                .limit(1000)
                .send();
            let answer = self.gate.take(read).await.context("get records")?;
            let records = answer.records.unwrap_or_default();
            iterator = answer.next_shard_iterator;
            if records.is_empty() {
                written_to(&mut answered).await;
                continue;
            }
            for record in &records {
                self.hand_out(record, &arn, &lanes, &checkpoint).await?;
            }
        }
        Ok(())
    }

    fn start_lanes(
        &self,
        work: &mut JoinSet<()>,
        arn: &str,
        shard: &str,
        checkpoint: &Arc<Checkpoint>,
    ) -> Vec<mpsc::Sender<Placed>> {
        let mut start = |_| {
            let (lane, records) = mpsc::channel(LANE);
            let batches = Batches {
                context: Arc::clone(&self.context),
                function: self.function.clone(),
                source: self.source.table.clone(),
                rules: self.source.records.clone(),
                kind: Shard {
                    arn: arn.to_owned(),
                    id: shard.to_owned(),
                },
            };
            let checkpoint = Arc::clone(checkpoint);
            work.spawn(async move { batches.run(records, |places| checkpoint.done(places)).await });
            lane
        };
        (0..self.source.parallelization_factor.max(1))
            .map(&mut start)
            .collect()
    }

    /// Puts a record into the lane of its item; one that no pattern matches is done with.
    async fn hand_out(
        &self,
        record: &Record,
        arn: &str,
        lanes: &[mpsc::Sender<Placed>],
        checkpoint: &Checkpoint,
    ) -> anyhow::Result<()> {
        let record = to_json(record, arn, &self.context.region);
        let place = checkpoint.open(sequence_number(&record));
        if !filter::matches(&self.source.records.filters, &record) {
            checkpoint.done(&[place]);
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        record
            .pointer("/dynamodb/Keys")
            .map(Value::to_string)
            .hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % u64::try_from(lanes.len())?)?;
        let lane = lanes.get(lane).context("there is no lane")?;
        lane.send(Placed { place, record })
            .await
            .context("the lane has ended")
    }

    async fn shard(&self, arn: &str) -> anyhow::Result<String> {
        let description = self
            .context
            .streams
            .describe_stream()
            .stream_arn(arn)
            .send()
            .await?;
        let shards = description
            .stream_description
            .and_then(|stream| stream.shards)
            .unwrap_or_default();
        // The embedded DynamoDB has one shard a stream.
        let shard = shards.into_iter().next_back().and_then(|shard| shard.shard_id);
        shard.ok_or_else(|| anyhow!("the stream has no shard"))
    }

    async fn iterator(&self, arn: &str, shard: &str, checkpoint: &Checkpoint) -> anyhow::Result<String> {
        let request = || {
            self.context
                .streams
                .get_shard_iterator()
                .stream_arn(arn)
                .shard_id(shard)
        };
        if let Some(sequence) = checkpoint.read() {
            let after = request()
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(sequence);
            // A position that the stream no longer has is as good as none.
            if let Ok(answer) = after.send().await {
                return answer
                    .shard_iterator
                    .ok_or_else(|| anyhow!("the stream gives no iterator"));
            }
        }
        let position = match self.source.records.from_start {
            true => ShardIteratorType::TrimHorizon,
            false => ShardIteratorType::Latest,
        };
        let answer = request().shard_iterator_type(position).send().await?;
        answer
            .shard_iterator
            .ok_or_else(|| anyhow!("the stream gives no iterator"))
    }

    fn checkpoint(&self, arn: &str) -> Checkpoint {
        Checkpoint {
            file: self
                .context
                .state
                .join("streams")
                .join(format!("{}.json", self.function)),
            arn: arn.to_owned(),
            progress: Mutex::default(),
        }
    }
}

/// Waits until something may have been written, or, where nobody says so, for a while.
async fn written_to(answered: &mut Option<watch::Receiver<()>>) {
    let says_so = match answered {
        Some(answered) => answered.changed().await.is_ok(),
        None => false,
    };
    if !says_so {
        tokio::time::sleep(PAUSE_WHEN_EMPTY).await;
    }
}

impl Checkpoint {
    fn open(&self, sequence: String) -> u64 {
        let mut progress = lock(&self.progress);
        let place = progress.next_place;
        progress.next_place = place.saturating_add(1);
        progress.open.insert(
            place,
            Reached {
                sequence,
                is_done: false,
            },
        );
        place
    }

    /// Notes what is done with, and remembers the last record before the first that isn't.
    fn done(&self, places: &[u64]) {
        let mut progress = lock(&self.progress);
        for place in places {
            if let Some(reached) = progress.open.get_mut(place) {
                reached.is_done = true;
            }
        }
        let mut last = None;
        while let Some(first) = progress.open.first_entry().filter(|first| first.get().is_done) {
            last = Some(first.remove().sequence);
        }
        if let Some(sequence) = last {
            self.write(&sequence);
        }
    }

    /// The stream of a table that lasts longer than the local cloud is read on from where it was left.
    fn read(&self) -> Option<String> {
        let checkpoint: Value = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        (checkpoint.get("stream")?.as_str()? == self.arn)
            .then(|| checkpoint.get("sequence")?.as_str().map(str::to_owned))?
    }

    fn write(&self, sequence: &str) {
        let content = json!({ "stream": self.arn, "sequence": sequence }).to_string();
        let folder = self.file.parent().map(std::fs::create_dir_all);
        if let Err(error) = folder
            .transpose()
            .and_then(|_| std::fs::write(&self.file, content))
        {
            tracing::warn!("saving the position in the stream failed: {error}");
        }
    }
}

/// The shard that records are of.
struct Shard {
    arn: String,
    id: String,
}

impl Kind for Shard {
    fn id(&self, record: &Value) -> String {
        sequence_number(record)
    }

    fn event(&self, records: &[Value]) -> Value {
        json!({ "Records": records })
    }

    fn written_at(&self, record: &Value) -> Option<DateTime<Utc>> {
        let seconds = record
            .pointer("/dynamodb/ApproximateCreationDateTime")?
            .as_i64()?;
        DateTime::from_timestamp(seconds, 0)
    }

    fn position(&self, records: &[Value]) -> (&'static str, Value) {
        let written = |record: Option<&Value>| {
            let at = record.and_then(|record| self.written_at(record));
            at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        };
        let position = json!({
            "shardId": self.id,
            "startSequenceNumber": records.first().map(sequence_number),
            "endSequenceNumber": records.last().map(sequence_number),
            "approximateArrivalOfFirstRecord": written(records.first()),
            "approximateArrivalOfLastRecord": written(records.last()),
            "batchSize": records.len(),
            "streamArn": self.arn,
        });
        ("DDBStreamBatchInfo", position)
    }
}

fn sequence_number(record: &Value) -> String {
    let number = record
        .get("dynamodb")
        .and_then(|change| change.get("SequenceNumber"));
    number.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A record as Lambda shows it to a function.
fn to_json(record: &Record, arn: &str, region: &str) -> Value {
    let mut change = Map::new();
    if let Some(data) = &record.dynamodb {
        for (name, image) in [
            ("Keys", &data.keys),
            ("NewImage", &data.new_image),
            ("OldImage", &data.old_image),
        ] {
            if let Some(image) = image {
                change.insert(name.to_owned(), attributes(image));
            }
        }
        change.insert("SequenceNumber".to_owned(), json!(data.sequence_number));
        change.insert("SizeBytes".to_owned(), json!(data.size_bytes));
        change.insert(
            "StreamViewType".to_owned(),
            json!(data.stream_view_type.as_ref().map(|kind| kind.as_str())),
        );
        let created = data.approximate_creation_date_time.map(|time| time.secs());
        change.insert("ApproximateCreationDateTime".to_owned(), json!(created));
    }
    json!({
        "eventID": record.event_id,
        "eventName": record.event_name.as_ref().map(|name| name.as_str()),
        "eventVersion": record.event_version.as_deref().unwrap_or("1.1"),
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "eventSourceARN": arn,
        "dynamodb": change,
    })
}

fn attributes<'a>(image: impl IntoIterator<Item = (&'a String, &'a AttributeValue)>) -> Value {
    Value::Object(
        image
            .into_iter()
            .map(|(name, value)| (name.clone(), attribute(value)))
            .collect(),
    )
}

fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes.as_ref()) }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(all) => {
            json!({ "BS": all.iter().map(|bytes| STANDARD.encode(bytes.as_ref())).collect::<Vec<_>>() })
        }
        AttributeValue::L(values) => json!({ "L": values.iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::M(entries) => json!({ "M": attributes(entries) }),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodbstreams::types::{OperationType, StreamRecord};

    use super::*;

    #[test]
    fn a_record_looks_as_lambda_shows_it() {
        let change = StreamRecord::builder()
            .keys("pk", AttributeValue::S("profile#1".to_owned()))
            .new_image("count", AttributeValue::N("3".to_owned()))
            .sequence_number("7")
            .size_bytes(20)
            .build();
        let record = Record::builder()
            .event_id("id")
            .event_name(OperationType::Insert)
            .dynamodb(change)
            .build();
        let shown = to_json(&record, "arn", "us-east-1");
        assert_eq!(shown["eventName"], "INSERT");
        assert_eq!(shown["dynamodb"]["Keys"], json!({ "pk": { "S": "profile#1" } }));
        assert_eq!(shown["dynamodb"]["NewImage"], json!({ "count": { "N": "3" } }));
        assert_eq!(shown["dynamodb"]["SequenceNumber"], "7");
        assert_eq!(shown["dynamodb"].get("OldImage"), None);
    }
}
