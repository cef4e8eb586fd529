//! Events as a function gets them from a queue, and what it answers.

use anyhow::{Context, ensure};
use local_cloud::InvocationResult;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Result;

/// The event with which SQS gives a batch of messages to a function. The messages' ids are their positions.
pub fn sqs_event<B: AsRef<str>>(queue: &str, bodies: &[B]) -> Value {
    let records = bodies.iter().enumerate();
    let records = records.map(|(position, body)| record(queue, position, body.as_ref(), json!({})));
    json!({ "Records": records.collect::<Vec<_>>() })
}

/// The event with which a FIFO queue gives a batch of messages, as (group, body), to a function.
pub fn fifo_event<B: AsRef<str>>(queue: &str, messages: &[(&str, B)]) -> Value {
    let records = messages.iter().enumerate().map(|(position, (group, body))| {
        let attributes = json!({
            "MessageGroupId": group,
            "MessageDeduplicationId": Uuid::now_v7(),
            "SequenceNumber": format!("{position:020}"),
        });
        record(&format!("{queue}.fifo"), position, body.as_ref(), attributes)
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

fn record(queue: &str, position: usize, body: &str, more: Value) -> Value {
    let mut attributes = json!({
        "ApproximateReceiveCount": "1",
        "SentTimestamp": "1767225600000",
        "SenderId": "AIDAEXAMPLE",
        "ApproximateFirstReceiveTimestamp": "1767225600001",
    });
    if let (Some(attributes), Value::Object(more)) = (attributes.as_object_mut(), more) {
        attributes.extend(more);
    }
    json!({
        "messageId": position.to_string(),
        "receiptHandle": format!("receipt-{position}"),
        "body": body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:moneta-local-{queue}"),
        "awsRegion": "us-east-1",
    })
}

/// An event of the domain, as the outbox would publish it.
pub fn new_domain_event(kind: &str, key: &str, data: Value) -> Value {
    json!({
        "id": Uuid::now_v7(),
        "type": kind,
        "occurred_at": chrono::Utc::now(),
        "key": key,
        "correlation_id": Uuid::now_v7().to_string(),
        "data": data,
    })
}

/// The positions of the messages that a function reports as failed.
///
/// # Errors
/// When it failed as a whole, or its answer is none of a queue's consumer.
pub fn failed_items(result: &InvocationResult) -> Result<Vec<usize>> {
    ensure!(
        result.function_error.is_none(),
        "the function failed: {:?} {}",
        result.function_error,
        result.payload
    );
    let failures = result.payload["batchItemFailures"].as_array();
    let failures = failures.with_context(|| format!("no batchItemFailures in {}", result.payload))?;
    let position = |failure: &Value| {
        let id = failure["itemIdentifier"].as_str();
        id.and_then(|id| id.parse().ok())
            .with_context(|| format!("a failure without a known id: {failure}"))
    };
    failures.iter().map(position).collect()
}
