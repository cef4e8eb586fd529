//! Fanning work out: a job that has much to do sends one message per piece to a queue, in batches.
//!
//! What belongs to a change of the database goes through the [`outbox`](crate::outbox) instead. This is for work that a
//! repeated run finds again: when sending fails, the run fails, and the next one sends everything once more.

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::aws;
use crate::config::Environment;
use crate::error::PlatformError;
use crate::error::chain;
use crate::observability::correlation;

/// SQS takes this many messages at once.
const BATCH: usize = 10;
/// Batches on their way at the same time.
const SIDE_BY_SIDE: usize = 8;
/// How often a message is tried that SQS took out of its batch.
const ATTEMPTS: u32 = 3;

/// A standard queue that messages are sent to.
#[derive(Debug, Clone)]
pub struct Queue {
    url: String,
}

impl Queue {
    /// Reads how a queue is reached; `name` is written as in the variable `QUEUE_{name}_URL`: `ACCOUNT_BALANCES`.
    pub fn named(name: &'static str) -> impl FnOnce(&mut Environment) -> Option<Self> {
        move |environment| {
            Some(Self {
                url: environment.required(&format!("QUEUE_{name}_URL"))?,
            })
        }
    }

    /// Sends every message, in no order, with the correlation id of the work in hand. The messages are small: ten of them
    /// stay below SQS's limit for a batch, 256 KiB.
    ///
    /// # Errors
    /// When one of them isn't taken by the queue; others may be in it already.
    pub async fn send_all<T: Serialize>(&self, messages: &[T]) -> Result<(), PlatformError> {
        let id = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(correlation::current().as_str())
            .build()
            .map_err(|error| PlatformError::Queue(chain(&error)))?;
        let mut batches = Vec::new();
        for batch in messages.chunks(BATCH) {
            batches.push(entries(batch, &id)?);
        }
        stream::iter(batches)
            .map(|batch| self.send(batch))
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await
    }

    async fn send(&self, mut batch: Vec<SendMessageBatchRequestEntry>) -> Result<(), PlatformError> {
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let sending = aws::sqs()
                .await
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(batch.clone()))
                .send();
            // Boxed, as in `aws`.
            let answer = Box::pin(sending).await;
            let failed = answer
                .map_err(|error| PlatformError::Queue(chain(&error)))?
                .failed;
            batch.retain(|entry| failed.iter().any(|failed| failed.id == entry.id));
            match failed.first() {
                Some(first) => reason = format!("{} messages are refused: {}", failed.len(), first.code),
                None => return Ok(()),
            }
        }
        Err(PlatformError::Queue(reason))
    }
}

/// The messages of a batch, under their positions in it.
fn entries<T: Serialize>(
    batch: &[T],
    correlation_id: &MessageAttributeValue,
) -> Result<Vec<SendMessageBatchRequestEntry>, PlatformError> {
    let entry = |(position, message): (usize, &T)| {
        SendMessageBatchRequestEntry::builder()
            .id(position.to_string())
            .message_body(serde_json::to_string(message)?)
            .message_attributes(correlation::ATTRIBUTE, correlation_id.clone())
            .build()
            .map_err(|error| PlatformError::Queue(chain(&error)))
    };
    batch.iter().enumerate().map(entry).collect()
}
