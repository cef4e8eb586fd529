//! From a queue to its function: batches of messages, deleted when the function is done with them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, task::JoinHandle, time::Instant};

use super::{Context, filter, gate::Gate, outcome};
use crate::{runtime::WhenBusy, template::QueueSource, util::set};

/// How long one receive waits for messages, in seconds. Closing the gate waits for it.
const LONG_POLL_S: i32 = 2;
/// The most messages of one receive or delete.
const MAX_MESSAGES_PER_CALL: usize = 10;
/// How many pollers a queue has, and so how many invocations at the same time.
const POLLERS: usize = 4;
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

pub(super) fn start(
    context: &Arc<Context>,
    function: &str,
    source: &QueueSource,
    gate: &Gate,
) -> Vec<JoinHandle<()>> {
    let pollers = source
        .maximum_concurrency
        .unwrap_or(POLLERS)
        .min(POLLERS)
        .min(context.max_instances)
        .max(1);
    let listening = Arc::new(Mutex::new(()));
    let start_one = |_| {
        let poller = Poller {
            context: Arc::clone(context),
            function: function.to_owned(),
            source: source.clone(),
            gate: gate.clone(),
            listening: Arc::clone(&listening),
        };
        tokio::spawn(async move { poller.run().await })
    };
    (0..pollers).map(start_one).collect()
}

struct Poller {
    context: Arc<Context>,
    function: String,
    source: QueueSource,
    gate: Gate,
    /// Held by the one poller of the queue that waits for messages.
    listening: Arc<Mutex<()>>,
}

impl Poller {
    async fn run(&self) {
        loop {
            if let Err(error) = self.turn().await {
                tracing::warn!(queue = self.source.queue, "polling failed: {error:#}");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }

    async fn turn(&self) -> anyhow::Result<()> {
        let mut batch = self.listen().await?;
        if batch.is_empty() {
            return Ok(());
        }
        self.context.queues.received(&self.source.queue, &batch);
        // Received messages are worked on, whatever becomes of the rest.
        let filled = self.fill(&mut batch).await;
        self.process(batch).await?;
        filled
    }

    /// Waits for messages, one poller at a time. The next one does as soon as this one has some, so that a busy queue has as
    /// many invocations as pollers, and a queue at rest is asked by one.
    async fn listen(&self) -> anyhow::Result<Vec<Message>> {
        let _listening = self.listening.lock().await;
        let receive = self.receive(self.source.batch_size, LONG_POLL_S);
        self.gate.take(receive).await
    }

    async fn receive(&self, most: usize, wait_s: i32) -> anyhow::Result<Vec<Message>> {
        let url = self.context.queues.url(&self.source.queue)?;
        let receive = self
            .context
            .queues
            .client()
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(most.min(MAX_MESSAGES_PER_CALL))?)
            .wait_time_seconds(wait_s)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        Ok(receive
            .send()
            .await
            .context("receive")?
            .messages
            .unwrap_or_default())
    }

    /// Waits for more messages as long as the batching window lets it.
    async fn fill(&self, batch: &mut Vec<Message>) -> anyhow::Result<()> {
        let end = Instant::now() + self.source.batching_window;
        while batch.len() < self.source.batch_size {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let wait_s = i32::try_from(left.as_secs())?.clamp(1, LONG_POLL_S);
            let more = self
                .receive(self.source.batch_size.saturating_sub(batch.len()), wait_s)
                .await?;
            self.context.queues.received(&self.source.queue, &more);
            batch.extend(more);
        }
        Ok(())
    }

    async fn process(&self, batch: Vec<Message>) -> anyhow::Result<()> {
        let arn = self.context.arn("sqs", &self.source.queue);
        let (wanted, unwanted): (Vec<_>, Vec<_>) = batch.into_iter().partition(|message| {
            let mut record = record(message, &arn, &self.context.region);
            // A pattern looks into a body that is JSON.
            if let Some(body) = message.body().and_then(|body| serde_json::from_str(body).ok()) {
                set(&mut record, "body", body);
            }
            filter::matches(&self.source.filters, &record)
        });
        self.delete(&unwanted).await?;
        if wanted.is_empty() {
            return Ok(());
        }
        let records: Vec<Value> = wanted
            .iter()
            .map(|message| record(message, &arn, &self.context.region))
            .collect();
        let ids: Vec<String> = wanted
            .iter()
            .filter_map(|message| message.message_id.clone())
            .collect();
        let event = json!({ "Records": records });
        let invocation = self
            .context
            .runtime
            .invoke_when(&self.function, &event, WhenBusy::Refuse);
        let result = invocation.await;
        let failed = match outcome::read(&result, &ids, self.source.partial_responses) {
            outcome::Failures::Some(failed) => failed,
            outcome::Failures::All(reason) => {
                tracing::warn!(
                    queue = self.source.queue,
                    function = self.function,
                    "a batch failed: {reason}"
                );
                ids.iter().cloned().collect::<BTreeSet<_>>()
            }
        };
        let (failed, done): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|message| message.message_id.as_ref().is_some_and(|id| failed.contains(id)));
        self.bring_back(failed);
        self.delete(&done).await
    }

    async fn delete(&self, messages: &[Message]) -> anyhow::Result<()> {
        let url = self.context.queues.url(&self.source.queue)?;
        for messages in messages.chunks(MAX_MESSAGES_PER_CALL) {
            let mut delete = self.context.queues.client().delete_message_batch().queue_url(url);
            for (index, message) in messages.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .set_receipt_handle(message.receipt_handle.clone());
                delete = delete.entries(entry.build()?);
            }
            delete.send().await.context("delete")?;
            self.context.queues.done(&self.source.queue, messages);
        }
        Ok(())
    }

    /// A failed message comes back when its visibility timeout ends, unless the options ask for it sooner.
    fn bring_back(&self, messages: Vec<Message>) {
        let Some(after) = self.context.redelivery_after else {
            return;
        };
        let context = Arc::clone(&self.context);
        let queue = self.source.queue.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let Ok(url) = context.queues.url(&queue) else {
                return;
            };
            for message in messages {
                let change = context.queues.client().change_message_visibility().queue_url(url);
                let change = change
                    .set_receipt_handle(message.receipt_handle)
                    .visibility_timeout(0);
                if let Err(error) = change.send().await {
                    tracing::debug!(queue, "making a message visible early failed: {error}");
                }
            }
        });
    }
}

/// A message as Lambda shows it to a function.
fn record(message: &Message, arn: &str, region: &str) -> Value {
    let mut attributes = Map::new();
    for (name, value) in message.attributes.iter().flatten() {
        attributes.insert(name.as_str().to_owned(), Value::String(value.clone()));
    }
    let mut message_attributes = Map::new();
    for (name, value) in message.message_attributes.iter().flatten() {
        message_attributes.insert(name.clone(), message_attribute(value));
    }
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": message_attributes,
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    })
}

fn message_attribute(value: &MessageAttributeValue) -> Value {
    let mut attribute = json!({
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value.data_type,
    });
    if let Some(text) = &value.string_value {
        set(&mut attribute, "stringValue", json!(text));
    }
    if let Some(bytes) = &value.binary_value {
        set(
            &mut attribute,
            "binaryValue",
            json!(STANDARD.encode(bytes.as_ref())),
        );
    }
    attribute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_looks_as_lambda_shows_it() {
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("7")
            .build()
            .unwrap();
        let message = Message::builder()
            .message_id("id")
            .receipt_handle("handle")
            .body("{}")
            .md5_of_body("md5")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "1")
            .message_attributes("correlation_id", attribute)
            .build();
        let expected = json!({
            "messageId": "id",
            "receiptHandle": "handle",
            "body": "{}",
            "attributes": { "ApproximateReceiveCount": "1" },
            "messageAttributes": {
                "correlation_id": { "stringValue": "7", "stringListValues": [], "binaryListValues": [], "dataType": "String" },
            },
            "md5OfBody": "md5",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders",
            "awsRegion": "us-east-1",
        });
        assert_eq!(
            record(&message, "arn:aws:sqs:us-east-1:000000000000:orders", "us-east-1"),
            expected
        );
    }
}
