//! Queues: events as a function gets them from one, and what is in one.

use anyhow::{Context, ensure};
use aws_sdk_sqs::types::QueueAttributeName;
use local_cloud::InvocationResult;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Fixture, Result, eventually};

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

impl Fixture {
    /// Sends a message to a queue.
    ///
    /// # Errors
    /// When it can't be sent.
    pub async fn send(&self, queue: &str, body: &str) -> Result {
        let url = self.cloud.queue_url(queue)?;
        let send = self.cloud.sqs().send_message().queue_url(url).message_body(body);
        send.send().await?;
        Ok(())
    }

    /// Sends a message of a group to a FIFO queue.
    ///
    /// # Errors
    /// When it can't be sent.
    pub async fn send_in_group(&self, queue: &str, group: &str, body: &str) -> Result {
        let url = self.cloud.queue_url(queue)?;
        let send = self.cloud.sqs().send_message().queue_url(url).message_body(body);
        let id = Uuid::now_v7().to_string();
        send.message_group_id(group)
            .message_deduplication_id(id)
            .send()
            .await?;
        Ok(())
    }

    /// How many messages a queue holds, waiting or being worked on.
    ///
    /// # Errors
    /// When the queue doesn't answer.
    pub async fn held_by(&self, queue: &str) -> Result<u64> {
        let url = self.cloud.queue_url(queue)?;
        let ask = self.cloud.sqs().get_queue_attributes().queue_url(url);
        let answer = ask.attribute_names(QueueAttributeName::All).send().await?;
        let attributes = answer.attributes.unwrap_or_default();
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let number = |name| attributes.get(name).and_then(|text| text.parse::<u64>().ok());
        Ok(names.iter().filter_map(number).sum())
    }

    /// Waits until a queue holds this many messages.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn queue_reaches(&self, queue: &str, count: u64) -> Result {
        eventually(&format!("{queue} holds {count} messages"), async || {
            let held = self.held_by(queue).await?;
            ensure!(held == count, "{queue} holds {held}");
            Ok(())
        })
        .await
    }

    /// The bodies of the messages that wait in a queue; looking counts as a receive.
    ///
    /// # Errors
    /// When the queue doesn't answer.
    pub async fn waiting_in(&self, queue: &str) -> Result<Vec<Value>> {
        let answer = self
            .api(None)?
            .get(&format!("/local/queues/{queue}/messages"))
            .await?;
        let items = answer.expect(200)?.body["items"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        Ok(items.iter().map(|message| message["body"].clone()).collect())
    }
}
