//! From a table's stream to its function: records in order, tried again until they succeed or are discarded.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::{
    Context, filter,
    gate::Gate,
    outcome::{self, Failures},
};
use crate::template::StreamSource;

const PAUSE_WHEN_EMPTY: Duration = Duration::from_millis(200);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(10);

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

/// Records that go to the function together.
#[derive(Clone, Debug, PartialEq)]
struct Batch {
    records: Vec<Value>,
    /// How often it has failed.
    failures: u32,
}

/// The fate of a batch after an invocation.
#[derive(Debug, PartialEq)]
enum Step {
    Done,
    /// These batches come next, in this order.
    Again(Vec<Batch>),
    Discard(Batch),
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
        let mut iterator = Some(self.iterator(&arn, &shard).await?);
        let limit = i32::try_from(self.source.batch_size)?.min(1000);
        while let Some(position) = iterator.take() {
            let read = self
                .context
                .streams
                .get_records()
                .shard_iterator(&position)
                .limit(limit)
                .send();
            let answer = self.gate.take(read).await.context("get records")?;
            let records = answer.records.unwrap_or_default();
            iterator = answer.next_shard_iterator;
            if records.is_empty() {
                tokio::time::sleep(PAUSE_WHEN_EMPTY).await;
                continue;
            }
            let last = records
                .last()
                .and_then(|record| record.dynamodb()?.sequence_number.clone());
            self.process(records, &arn, &shard).await;
            self.remember(&arn, last.as_deref());
        }
        Ok(())
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

    async fn iterator(&self, arn: &str, shard: &str) -> anyhow::Result<String> {
        let request = || {
            self.context
                .streams
                .get_shard_iterator()
                .stream_arn(arn)
                .shard_id(shard)
        };
        if let Some(sequence) = self.remembered(arn) {
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
        let position = match self.source.from_start {
            true => ShardIteratorType::TrimHorizon,
            false => ShardIteratorType::Latest,
        };
        let answer = request().shard_iterator_type(position).send().await?;
        answer
            .shard_iterator
            .ok_or_else(|| anyhow!("the stream gives no iterator"))
    }

    fn checkpoint(&self) -> PathBuf {
        self.context
            .state
            .join("streams")
            .join(format!("{}.json", self.function))
    }

    /// The stream of a table that lasts longer than the local cloud is read on from where it was left.
    fn remembered(&self, arn: &str) -> Option<String> {
        let checkpoint: Value = serde_json::from_slice(&std::fs::read(self.checkpoint()).ok()?).ok()?;
        (checkpoint.get("stream")?.as_str()? == arn)
            .then(|| checkpoint.get("sequence")?.as_str().map(str::to_owned))?
    }

    fn remember(&self, arn: &str, sequence: Option<&str>) {
        let path = self.checkpoint();
        let content = json!({ "stream": arn, "sequence": sequence }).to_string();
        let folder = path.parent().map(std::fs::create_dir_all);
        if let Err(error) = folder.transpose().and_then(|_| std::fs::write(&path, content)) {
            tracing::warn!("saving the position in the stream failed: {error}");
        }
    }

    async fn process(&self, records: Vec<Record>, arn: &str, shard: &str) {
        let records = records
            .iter()
            .map(|record| to_json(record, arn, &self.context.region))
            .filter(|record| filter::matches(&self.source.filters, record))
            .collect();
        let mut batches = VecDeque::from([Batch { records, failures: 0 }]);
        while let Some(batch) = batches.pop_front() {
            if batch.records.is_empty() {
                continue;
            }
            let ids: Vec<String> = batch.records.iter().map(sequence_number).collect();
            let event = json!({ "Records": batch.records });
            let result = self.context.invoke(&self.function, &event).await;
            let failures = outcome::read(&result, &ids, self.source.partial_responses);
            if let Failures::All(reason) = &failures {
                tracing::warn!(
                    table = self.source.table,
                    function = self.function,
                    "a batch failed: {reason}"
                );
            }
            match next_step(batch, &ids, &failures, &self.source) {
                Step::Done => {}
                Step::Again(again) => {
                    let attempts = again.first().map_or(0, |batch| batch.failures);
                    for batch in again.into_iter().rev() {
                        batches.push_front(batch);
                    }
                    tokio::time::sleep(self.pause(attempts)).await;
                }
                Step::Discard(batch) => self.discard(&batch, arn, shard).await,
            }
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        match self.context.redelivery_after {
            Some(after) => after,
            None => Duration::from_millis(500)
                .saturating_mul(2_u32.saturating_pow(failures))
                .min(MAX_RETRY_PAUSE),
        }
    }

    /// Sends the failure queue the records' position, as Lambda does; the records themselves stay in the stream.
    async fn discard(&self, batch: &Batch, arn: &str, shard: &str) {
        tracing::warn!(
            table = self.source.table,
            function = self.function,
            "discarding a batch after its last retry"
        );
        let Some(queue) = &self.source.failure_queue else {
            return;
        };
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let message = json!({
            "requestContext": {
                "requestId": uuid::Uuid::now_v7().to_string(),
                "functionArn": self.context.arn("lambda", &format!("function:{}", self.function)),
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": batch.failures,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": now,
            "DDBStreamBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": batch.records.first().map(sequence_number),
                "endSequenceNumber": batch.records.last().map(sequence_number),
                "approximateArrivalOfFirstRecord": now,
                "approximateArrivalOfLastRecord": now,
                "batchSize": batch.records.len(),
                "streamArn": arn,
            },
        });
        if let Err(error) = self.context.queues.send(queue, &message.to_string()).await {
            tracing::warn!("sending the discarded batch to {queue} failed: {error:#}");
        }
    }
}

/// Lambda's rules: what follows the first failed record is tried again with it; a batch that fails as a whole is
/// halved where that is allowed, and discarded after the last retry.
fn next_step(mut batch: Batch, ids: &[String], failures: &Failures, source: &StreamSource) -> Step {
    let first_failed = match failures {
        Failures::All(_) => 0,
        Failures::Some(failed) => match ids.iter().position(|id| failed.contains(id)) {
            Some(position) => position,
            None => return Step::Done,
        },
    };
    if first_failed > 0 {
        // Records were done with: the rest is a new batch.
        let records = batch.records.split_off(first_failed);
        return Step::Again(vec![Batch { records, failures: 0 }]);
    }
    if source.bisect && batch.records.len() > 1 {
        let second = batch.records.split_off(batch.records.len() / 2);
        let failures = batch.failures;
        return Step::Again(vec![
            batch,
            Batch {
                records: second,
                failures,
            },
        ]);
    }
    batch.failures = batch.failures.saturating_add(1);
    match source.maximum_retries {
        Some(most) if batch.failures > most => Step::Discard(batch),
        _ => Step::Again(vec![batch]),
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
    use std::collections::BTreeSet;

    use aws_sdk_dynamodbstreams::types::{OperationType, StreamRecord};

    use super::*;

    fn source(bisect: bool) -> StreamSource {
        StreamSource {
            table: "notes".to_owned(),
            batch_size: 10,
            batching_window: Duration::ZERO,
            from_start: true,
            bisect,
            maximum_retries: Some(1),
            partial_responses: true,
            failure_queue: None,
            enabled: true,
            filters: Vec::new(),
        }
    }

    fn batch(numbers: &[&str], failures: u32) -> Batch {
        let record = |number: &&str| json!({ "dynamodb": { "SequenceNumber": number } });
        Batch {
            records: numbers.iter().map(record).collect(),
            failures,
        }
    }

    fn step(batch: Batch, failures: &Failures, bisect: bool) -> Step {
        let ids: Vec<String> = batch.records.iter().map(sequence_number).collect();
        next_step(batch, &ids, failures, &source(bisect))
    }

    #[test]
    fn records_from_the_first_failed_one_on_are_tried_again() {
        let failed = Failures::Some(BTreeSet::from(["3".to_owned(), "2".to_owned()]));
        assert_eq!(
            step(batch(&["1", "2", "3"], 0), &failed, true),
            Step::Again(vec![batch(&["2", "3"], 0)])
        );
        assert_eq!(
            step(batch(&["1"], 0), &Failures::Some(BTreeSet::new()), true),
            Step::Done
        );
    }

    #[test]
    fn a_batch_that_fails_is_halved_down_to_the_record_and_then_given_up() {
        let failed = Failures::All("crash".to_owned());
        let halves = vec![batch(&["1"], 0), batch(&["2", "3"], 0)];
        assert_eq!(
            step(batch(&["1", "2", "3"], 0), &failed, true),
            Step::Again(halves)
        );
        assert_eq!(
            step(batch(&["1"], 0), &failed, true),
            Step::Again(vec![batch(&["1"], 1)])
        );
        assert_eq!(
            step(batch(&["1"], 1), &failed, true),
            Step::Discard(batch(&["1"], 2))
        );
        assert_eq!(
            step(batch(&["1", "2"], 1), &failed, false),
            Step::Discard(batch(&["1", "2"], 2))
        );
    }

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
        let shown = to_json(&record, "arn", "eu-west-1");
        assert_eq!(shown["eventName"], "INSERT");
        assert_eq!(shown["dynamodb"]["Keys"], json!({ "pk": { "S": "profile#1" } }));
        assert_eq!(shown["dynamodb"]["NewImage"], json!({ "count": { "N": "3" } }));
        assert_eq!(shown["dynamodb"]["SequenceNumber"], "7");
        assert_eq!(shown["dynamodb"].get("OldImage"), None);
    }
}
