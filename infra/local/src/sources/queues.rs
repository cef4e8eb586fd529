//! The queues from outside: their names, their counts, a look at their messages, and the way back from a
//! dead-letter queue.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{backends::QueueSpec, template::NAME_PREFIX};

/// How long a look hides the messages from others, in seconds.
const LOOK_S: i32 = 10;
/// The most messages that a look shows.
const MAX_PEEKED: usize = 100;
/// The most messages of one receive.
const MAX_MESSAGES_PER_CALL: i32 = 10;

/// The queues of the template and a client of theirs.
#[derive(Clone)]
pub(crate) struct Queues {
    client: aws_sdk_sqs::Client,
    urls: BTreeMap<String, String>,
    /// The dead-letter queue of each queue that has one.
    dead_letters: BTreeMap<String, String>,
}

/// A queue and what is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Its name.
    pub name: String,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that are being worked on.
    pub in_flight: u64,
    /// Messages that aren't to be seen yet.
    pub delayed: u64,
    /// Its dead-letter queue.
    pub dead_letter_queue: Option<String>,
}

/// A message as a look shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeenMessage {
    /// Its id.
    pub message_id: String,
    /// Its body; JSON is shown as such.
    pub body: Value,
    /// SQS's own attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Queues {
    pub(crate) fn new(
        client: aws_sdk_sqs::Client,
        urls: BTreeMap<String, String>,
        queues: &[QueueSpec],
    ) -> Self {
        let dead_letter =
            |queue: &QueueSpec| Some((queue.name.clone(), queue.dead_letter.as_ref()?.queue.clone()));
        let dead_letters = queues.iter().filter_map(dead_letter).collect();
        Self {
            client,
            urls,
            dead_letters,
        }
    }

    pub(crate) fn client(&self) -> &aws_sdk_sqs::Client {
        &self.client
    }

    /// The full name of a queue, which may be given without the stage's prefix and `.fifo`.
    pub(crate) fn full_name(&self, name: &str) -> anyhow::Result<&str> {
        let candidates = [
            name.to_owned(),
            format!("{name}.fifo"),
            format!("{}{name}", NAME_PREFIX),
            format!("{}{name}.fifo", NAME_PREFIX),
        ];
        let found = candidates
            .iter()
            .find_map(|candidate| self.urls.get_key_value(candidate));
        found
            .map(|(name, _)| name.as_str())
            .ok_or_else(|| anyhow!("no queue is named {name}"))
    }

    /// The URL of a queue.
    pub(crate) fn url(&self, name: &str) -> anyhow::Result<&str> {
        let name = self.full_name(name)?;
        self.urls
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| anyhow!("no queue is named {name}"))
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) -> anyhow::Result<()> {
        let mut message = self
            .client
            .send_message()
            .queue_url(self.url(queue)?)
            .message_body(body);
        if queue.ends_with(".fifo") {
            let id = Uuid::now_v7().to_string();
            message = message.message_group_id("local").message_deduplication_id(id);
        }
        message
            .send()
            .await
            .with_context(|| format!("a message can't be sent to {queue}"))?;
        Ok(())
    }

    pub(crate) async fn status(&self) -> anyhow::Result<Vec<QueueStatus>> {
        let mut all = Vec::new();
        for (name, url) in &self.urls {
            let attributes = self.client.get_queue_attributes().queue_url(url);
            let attributes = attributes
                .attribute_names(QueueAttributeName::All)
                .send()
                .await?
                .attributes;
            let attributes = attributes.unwrap_or_default();
            let number = |name| {
                attributes
                    .get(&name)
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0)
            };
            all.push(QueueStatus {
                name: name.clone(),
                waiting: number(QueueAttributeName::ApproximateNumberOfMessages),
                in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
                delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
                dead_letter_queue: self.dead_letters.get(name).cloned(),
            });
        }
        Ok(all)
    }

    /// Shows the messages that wait, and leaves them. A FIFO queue shows the first of each group. As on AWS, being
    /// looked at counts as a receive.
    pub(crate) async fn peek(&self, queue: &str) -> anyhow::Result<Vec<SeenMessage>> {
        let url = self.url(queue)?;
        let mut seen: Vec<Message> = Vec::new();
        while seen.len() < MAX_PEEKED {
            let messages = self.receive(url, LOOK_S).await?;
            if messages.is_empty() {
                break;
            }
            seen.extend(messages);
        }
        for message in &seen {
            let back = self
                .client
                .change_message_visibility()
                .queue_url(url)
                .visibility_timeout(0);
            back.set_receipt_handle(message.receipt_handle.clone())
                .send()
                .await?;
        }
        Ok(seen.into_iter().map(show).collect())
    }

    async fn receive(&self, url: &str, hidden_s: i32) -> anyhow::Result<Vec<Message>> {
        let receive = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(MAX_MESSAGES_PER_CALL)
            .visibility_timeout(hidden_s)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        Ok(receive.send().await?.messages.unwrap_or_default())
    }

    /// Sends the messages of a dead-letter queue back to the queue they came from, and says how many there were.
    /// The queue may be named as well as its dead-letter queue.
    pub(crate) async fn redrive(&self, queue: &str) -> anyhow::Result<usize> {
        let name = self.full_name(queue)?;
        let pair = self
            .dead_letters
            .iter()
            .find(|(source, dead)| *dead == name || *source == name);
        let Some((source, dead)) = pair else {
            bail!("{name} is no dead-letter queue, and has none")
        };
        let (source, dead) = (self.url(source)?, self.url(dead)?);
        let mut moved = 0;
        loop {
            let messages = self.receive(dead, LOOK_S).await?;
            if messages.is_empty() {
                return Ok(moved);
            }
            for message in messages {
                self.move_message(source, dead, message).await?;
                moved += 1;
            }
        }
    }

    async fn move_message(&self, source: &str, dead: &str, message: Message) -> anyhow::Result<()> {
        let attributes = message.attributes.unwrap_or_default();
        let group = attributes.get(&MessageSystemAttributeName::MessageGroupId);
        let send = self
            .client
            .send_message()
            .queue_url(source)
            .set_message_body(message.body)
            .set_message_attributes(message.message_attributes)
            .set_message_group_id(group.cloned())
            // The first one was used within the last five minutes, perhaps, and would swallow this message.
            .set_message_deduplication_id(group.map(|_| Uuid::now_v7().to_string()));
        send.send().await.context("a message can't be sent back")?;
        let delete = self.client.delete_message().queue_url(dead);
        delete.set_receipt_handle(message.receipt_handle).send().await?;
        Ok(())
    }
}

fn show(message: Message) -> SeenMessage {
    let body = message.body.unwrap_or_default();
    let attributes = message.attributes.unwrap_or_default();
    SeenMessage {
        message_id: message.message_id.unwrap_or_default(),
        body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.as_str().to_owned(), value))
            .collect(),
    }
}
