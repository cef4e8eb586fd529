//! Kafka topics through Lambda's event source.
//!
//! Records of one partition keep their order: after a failed one, the rest of its partition waits for it to come again, and
//! the other partitions go on. A record that no attempt will get through (it can't be read, or is refused) doesn't
//! hold up its partition: it goes to the failure queue with its reason, and the partition moves on.
//!
//! From the failure queue it comes back when an operator has its messages moved to the queue that they are the dead letters
//! of, which calls the same function.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::event::kafka::{KafkaEvent, KafkaRecord};
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::ids::CorrelationId;
use domain::lane::Laned;
use lambda_runtime::LambdaEvent;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{Environment, FromEnvironment};
use crate::deadline::Deadline;
use crate::entry::item::{Invocation, ItemFailed};
use crate::error::chain;
use crate::messaging::queue::Queue;
use crate::observability::correlation;

/// A function that consumes a topic.
pub trait TopicConsumer: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// The value of a record, as JSON; an `Option` where a key may be deleted.
    type Message: DeserializeOwned + Send;
    /// Why a record wasn't handled.
    type Error: Laned;

    /// Handles one record before the deadline. It may come twice and late.
    fn handle(
        use_case: &Self::UseCase,
        message: Self::Message,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Runs the function. Besides what its use case reads, it needs `QUEUE_TOPIC_FAILURES_URL`.
pub fn serve<C: TopicConsumer>() -> ExitCode {
    super::serve(answer::<C>)
}

/// What does the work, and where records go that it gives up.
struct Consumer<U> {
    use_case: U,
    failures: Queue,
}

impl<U: FromEnvironment> FromEnvironment for Consumer<U> {
    fn read(environment: &mut Environment) -> Option<Self> {
        let use_case = U::read(environment);
        let failures = Queue::named("TOPIC_FAILURES")(environment);
        Some(Self {
            use_case: use_case?,
            failures: failures?,
        })
    }
}

/// A message of a queue may be this large where nothing else is said (256 KiB), with room for attributes.
const MAX_FAILED_RECORD_BYTES: usize = 250 * 1024;

/// A record that was given up, as it waits in the failure queue.
#[derive(Debug, Serialize, Deserialize)]
struct FailedRecord {
    reason: String,
    /// The value was too large for a queue: it is in the topic alone, and the record can't be redriven.
    is_value_left_out: bool,
    record: KafkaRecord,
}

impl FailedRecord {
    fn new(failed: ItemFailed, record: KafkaRecord) -> Self {
        let mut given_up = Self {
            reason: failed.code.to_owned(),
            is_value_left_out: false,
            record,
        };
        let is_too_large =
            serde_json::to_vec(&given_up).is_ok_and(|bytes| bytes.len() > MAX_FAILED_RECORD_BYTES);
        if is_too_large {
            given_up.is_value_left_out = true;
            given_up.record.value = None;
        }
        given_up
    }
}

async fn answer<C: TopicConsumer>(
    consumer: Arc<Consumer<C::UseCase>>,
    event: LambdaEvent<Value>,
) -> Result<Value, lambda_runtime::Error> {
    let invocation = Invocation::of(&event.context);
    // A queue's event has `Records`, a topic's has `records`.
    let failures = match event.payload.get("Records") {
        Some(_) => {
            let event = serde_json::from_value(event.payload)?;
            redriven::<C>(&consumer.use_case, event, &invocation).await
        }
        None => {
            let event = serde_json::from_value(event.payload)?;
            of_topic::<C>(&consumer, event, &invocation).await
        }
    };
    Ok(json!({ "batchItemFailures": failures }))
}

async fn of_topic<C: TopicConsumer>(
    consumer: &Consumer<C::UseCase>,
    event: KafkaEvent,
    invocation: &Invocation,
) -> Vec<Value> {
    let partitions: BTreeMap<String, Vec<KafkaRecord>> = event.records.into_iter().collect();
    let mut failures = Vec::new();
    for (partition, records) in partitions {
        if let Some(offset) = first_failure::<C>(consumer, &partition, records, invocation).await {
            failures.push(json!({"itemIdentifier": {"partition": partition, "offset": offset}}));
        }
    }
    failures
}

async fn first_failure<C: TopicConsumer>(
    consumer: &Consumer<C::UseCase>,
    partition: &str,
    records: Vec<KafkaRecord>,
    invocation: &Invocation,
) -> Option<i64> {
    for record in records {
        let item = format!("{partition}@{}", record.offset);
        let offset = record.offset;
        let Err(failed) = handle_record::<C>(&consumer.use_case, &item, &record, invocation).await else {
            continue;
        };
        if !failed.is_final || !give_up(&consumer.failures, failed, record).await {
            return Some(offset);
        }
    }
    None
}

/// Hands a record to the failure queue; `false` when that isn't possible now.
async fn give_up(failures: &Queue, failed: ItemFailed, record: KafkaRecord) -> bool {
    let (partition, offset) = (record.partition, record.offset);
    match failures.send_all(&[FailedRecord::new(failed, record)]).await {
        Ok(()) => {
            tracing::error!(partition, offset, code = failed.code, "the record was given up");
            true
        }
        Err(error) => {
            tracing::warn!(
                partition,
                offset,
                error = chain(&error),
                "giving the record up failed"
            );
            false
        }
    }
}

/// Records that were given up before; one that fails again stays in the queue, and goes back to the dead letters.
async fn redriven<C: TopicConsumer>(
    use_case: &C::UseCase,
    event: SqsEvent,
    invocation: &Invocation,
) -> Vec<Value> {
    let mut failures = Vec::new();
    for message in event.records {
        let id = message.message_id.clone().unwrap_or_default();
        if !is_redriven_done::<C>(use_case, &id, message, invocation).await {
            failures.push(json!({ "itemIdentifier": id }));
        }
    }
    failures
}

async fn is_redriven_done<C: TopicConsumer>(
    use_case: &C::UseCase,
    id: &str,
    message: SqsMessage,
    invocation: &Invocation,
) -> bool {
    let body = message.body.unwrap_or_default();
    match serde_json::from_str::<FailedRecord>(&body) {
        Ok(failed) if failed.is_value_left_out => {
            tracing::error!(
                id,
                "the record was too large for the queue and has to be read from its topic"
            );
            false
        }
        Ok(failed) => handle_record::<C>(use_case, id, &failed.record, invocation)
            .await
            .is_ok(),
        Err(error) => {
            tracing::error!(id, category = ?error.classify(), "reading the record that was given up failed");
            false
        }
    }
}

async fn handle_record<C: TopicConsumer>(
    use_case: &C::UseCase,
    item: &str,
    record: &KafkaRecord,
    invocation: &Invocation,
) -> Result<(), ItemFailed> {
    let item = invocation.item(item, correlation_of(record));
    item.run_message(text_of(record).as_deref(), |message| {
        C::handle(use_case, message, invocation.deadline)
    })
    .await
}

/// The record's value, which Lambda gives as base64. A tombstone has none and reads as JSON's `null`: a consumer that
/// knows what it means takes an `Option`.
fn text_of(record: &KafkaRecord) -> Option<String> {
    match &record.value {
        None => Some("null".to_owned()),
        Some(value) => String::from_utf8(STANDARD.decode(value).ok()?).ok(),
    }
}

fn correlation_of(record: &KafkaRecord) -> CorrelationId {
    let sent = record
        .headers
        .iter()
        .find_map(|headers| headers.get(correlation::HEADER));
    let bytes: Option<Vec<u8>> =
        sent.and_then(|bytes| bytes.iter().map(|byte| u8::try_from(*byte).ok()).collect());
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map_or_else(correlation::new, |id| correlation::accept(&id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::PlatformError;

    struct Refuses;

    impl TopicConsumer for Refuses {
        type UseCase = ();
        type Message = Option<u32>;
        type Error = PlatformError;

        async fn handle((): &(), message: Option<u32>, _: Deadline) -> Result<(), PlatformError> {
            if message == Some(13) {
                Err(PlatformError::InFlight)
            } else {
                Ok(())
            }
        }
    }

    fn record(partition: i64, offset: i64, value: &str) -> Value {
        json!({"topic": "t", "partition": partition, "offset": offset, "timestamp": 1_700_000_000_000_i64,
               "timestampType": "CREATE_TIME", "value": STANDARD.encode(value), "headers": []})
    }

    #[test]
    fn a_value_is_told_from_none_and_from_nonsense() {
        let read = |value: Value| {
            let mut record = record(0, 1, "");
            record["value"] = value;
            text_of(&serde_json::from_value(record).unwrap())
        };
        assert_eq!(read(json!(STANDARD.encode("7"))).as_deref(), Some("7"));
        assert_eq!(read(Value::Null).as_deref(), Some("null"));
        assert_eq!(read(json!("no base64!")), None);
        assert_eq!(read(json!(STANDARD.encode([0xff, 0xfe]))), None);
    }

    #[test]
    fn value_that_no_queue_takes_is_left_out_of_what_was_given_up() {
        let failed = ItemFailed {
            code: "unreadable",
            is_final: true,
        };
        let given_up = |length: usize| {
            let record = serde_json::from_value(record(0, 7, &"x".repeat(length))).unwrap();
            FailedRecord::new(failed, record)
        };
        assert!(!given_up(1000).is_value_left_out && given_up(1000).record.value.is_some());
        let large = given_up(300_000);
        assert_eq!(
            (large.is_value_left_out, large.record.value, large.record.offset),
            (true, None, 7)
        );
    }

    #[tokio::test]
    async fn a_partition_stops_at_its_first_failure_and_others_go_on() {
        let payload = json!({"eventSource": "SelfManagedKafka", "records": {
            "t-0": [record(0, 5, "1"), record(0, 6, "13"), record(0, 7, "2")],
            "t-1": [record(1, 9, "3")],
            "t-2": [record(2, 1, "no number")],
        }});
        let mut context = lambda_runtime::Context::default();
        context.deadline = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap() + 5000;
        // Nothing listens there: what can't be read can't be given up either, and comes again.
        let mut environment = Environment::of([(
            "QUEUE_TOPIC_FAILURES_URL".to_owned(),
            "http://127.0.0.1:9/failures".to_owned(),
        )]);
        let consumer = Arc::new(Consumer::read(&mut environment).unwrap());
        let answer = answer::<Refuses>(consumer, LambdaEvent::new(payload, context))
            .await
            .unwrap();
        assert_eq!(
            answer,
            json!({"batchItemFailures": [
                {"itemIdentifier": {"partition": "t-0", "offset": 6}},
                {"itemIdentifier": {"partition": "t-2", "offset": 1}},
            ]})
        );
    }
}
