//! Kafka topics through Lambda's event source.
//!
//! Records of one partition keep their order: after a failed one, the rest of its partition waits and the other
//! partitions go on. What keeps failing ends in the event source's failure destination.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::event::kafka::{KafkaEvent, KafkaRecord};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::ids::CorrelationId;
use domain::lane::Laned;
use lambda_runtime::LambdaEvent;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::FromEnvironment;
use crate::deadline::Deadline;
use crate::entry::item::{Invocation, ItemFailed};
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

/// Runs the function.
pub fn serve<C: TopicConsumer>() -> ExitCode {
    super::serve(answer::<C>)
}

async fn answer<C: TopicConsumer>(
    use_case: Arc<C::UseCase>,
    event: LambdaEvent<KafkaEvent>,
) -> Result<Value, lambda_runtime::Error> {
    let invocation = Invocation::of(&event.context);
    let partitions: BTreeMap<String, Vec<KafkaRecord>> = event.payload.records.into_iter().collect();
    let mut failures = Vec::new();
    for (partition, records) in partitions {
        if let Some(offset) = first_failure::<C>(&use_case, &partition, records, &invocation).await {
            failures.push(json!({"itemIdentifier": {"partition": partition, "offset": offset}}));
        }
    }
    Ok(json!({ "batchItemFailures": failures }))
}

async fn first_failure<C: TopicConsumer>(
    use_case: &C::UseCase,
    partition: &str,
    records: Vec<KafkaRecord>,
    invocation: &Invocation,
) -> Option<i64> {
    for record in records {
        let item = format!("{partition}@{}", record.offset);
        if handle_record::<C>(use_case, &item, &record, invocation)
            .await
            .is_err()
        {
            return Some(record.offset);
        }
    }
    None
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

    #[tokio::test]
    async fn a_partition_stops_at_its_first_failure_and_others_go_on() {
        let payload = json!({"eventSource": "SelfManagedKafka", "records": {
            "t-0": [record(0, 5, "1"), record(0, 6, "13"), record(0, 7, "2")],
            "t-1": [record(1, 9, "3")],
            "t-2": [record(2, 1, "no number")],
        }});
        let mut context = lambda_runtime::Context::default();
        context.deadline = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap() + 5000;
        let event = LambdaEvent::new(serde_json::from_value(payload).unwrap(), context);
        let answer = answer::<Refuses>(Arc::new(()), event).await.unwrap();
        assert_eq!(
            answer,
            json!({"batchItemFailures": [
                {"itemIdentifier": {"partition": "t-0", "offset": 6}},
                {"itemIdentifier": {"partition": "t-2", "offset": 1}},
            ]})
        );
    }
}
