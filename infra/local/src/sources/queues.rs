//! The queues from outside: their names, their counts, a look at their messages, and the way back from a
//! dead-letter queue.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::{Context, anyhow, bail};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    backends::{QueueSpec, sqs_transfer as transfer},
    template::NAME_PREFIX,
    util::lock,
};

/// How long a look hides the messages from others, in seconds.
const LOOK_S: i32 = 10;
/// The most messages that a look shows.
const MAX_PEEKED: usize = 100;

/// The queues of the template and a client of theirs.
#[derive(Clone)]
pub(crate) struct Queues {
    client: aws_sdk_sqs::Client,
    urls: BTreeMap<String, String>,
    /// The dead-letter queue of each queue that has one.
    dead_letters: BTreeMap<String, String>,
    /// The receipt handle of each message that a function was given and isn't done with, by queue and message.
    in_flight: Arc<Mutex<BTreeMap<(String, String), String>>>,
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
            in_flight: Arc::default(),
        }
    }

    /// The names of all queues.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.urls.keys().map(String::as_str)
    }

    /// Remembers messages that a function is given.
    pub(super) fn received(&self, queue: &str, messages: &[Message]) {
        let mut in_flight = lock(&self.in_flight);
        for message in messages {
            if let (Some(id), Some(handle)) = (&message.message_id, &message.receipt_handle) {
                in_flight.insert((queue.to_owned(), id.clone()), handle.clone());
            }
        }
    }

    /// Forgets messages that a function is done with.
    pub(super) fn done(&self, queue: &str, messages: &[Message]) {
        let mut in_flight = lock(&self.in_flight);
        for id in messages.iter().filter_map(|message| message.message_id.clone()) {
            in_flight.remove(&(queue.to_owned(), id));
        }
    }

    /// Puts back what functions were given and won't be done with any more.
    pub(super) async fn give_back(&self) {
        let in_flight = std::mem::take(&mut *lock(&self.in_flight));
        for ((queue, _), handle) in in_flight {
            if let Ok(url) = self.url(&queue) {
                // One that has come back or was given up meanwhile needs nothing.
                let _ = transfer::show_again(&self.client, url, Some(handle)).await;
            }
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

    /// How many messages a queue has in all, by its URL.
    pub(crate) async fn count(&self, url: &str) -> anyhow::Result<u64> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let attributes = self.client.get_queue_attributes().queue_url(url);
        let attributes = attributes
            .set_attribute_names(Some(names.into()))
            .send()
            .await?
            .attributes;
        let counts = attributes.unwrap_or_default().into_values();
        Ok(counts.filter_map(|count| count.parse::<u64>().ok()).sum())
    }

    /// Shows the messages that wait, and leaves them. A FIFO queue shows the first of each group. As on AWS, being
    /// looked at counts as a receive.
    pub(crate) async fn peek(&self, queue: &str) -> anyhow::Result<Vec<SeenMessage>> {
        let url = self.url(queue)?;
        let mut seen: Vec<Message> = Vec::new();
        while seen.len() < MAX_PEEKED {
            let messages = transfer::receive(&self.client, url, LOOK_S).await?;
            if messages.is_empty() {
                break;
            }
            seen.extend(messages);
        }
        for message in &seen {
            transfer::show_again(&self.client, url, message.receipt_handle.clone()).await?;
        }
        Ok(seen.into_iter().map(show).collect())
    }

    /// Deletes a message that waits in a queue, and says whether it was there.
    pub(crate) async fn delete(&self, queue: &str, message_id: &str) -> anyhow::Result<bool> {
        let url = self.url(queue)?;
        let (mut found, mut others) = (None, Vec::new());
        while found.is_none() {
            let messages = transfer::receive(&self.client, url, LOOK_S).await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                match message.message_id.as_deref() == Some(message_id) {
                    true => found = Some(message),
                    false => others.push(message),
                }
            }
        }
        for message in others {
            transfer::show_again(&self.client, url, message.receipt_handle).await?;
        }
        match found {
            Some(message) => {
                transfer::delete(&self.client, url, message.receipt_handle).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Deletes all messages of a queue, those that are being worked on too, and says how many there were.
    pub(crate) async fn purge(&self, queue: &str) -> anyhow::Result<u64> {
        let url = self.url(queue)?;
        let name = self.full_name(queue)?;
        let status = self.status().await?;
        let count = status
            .iter()
            .find(|status| status.name == name)
            .map_or(0, QueueStatus::messages);
        self.client.purge_queue().queue_url(url).send().await?;
        Ok(count)
    }

    /// Sends the messages of a dead-letter queue back to the queue they came from, and says how many there were: as many
    /// as wait now, even if some fail again meanwhile. The queue may be named as well as its dead-letter queue.
    pub(crate) async fn redrive(&self, queue: &str) -> anyhow::Result<u64> {
        let name = self.full_name(queue)?;
        let pair = self
            .dead_letters
            .iter()
            .find(|(source, dead)| *dead == name || *source == name);
        let Some((source, dead)) = pair else {
            bail!("{name} is no dead-letter queue, and has none")
        };
        let dead = self.url(dead)?;
        let to_move = transfer::count(&self.client, dead).await?;
        let mut moved = 0;
        while moved < to_move {
            let messages = transfer::receive(&self.client, dead, LOOK_S).await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                let source = self.url(transfer::given_up_in(&message).unwrap_or(source))?;
                transfer::move_message(&self.client, dead, source, message).await?;
                moved += 1;
            }
        }
        Ok(moved)
    }
}

impl QueueStatus {
    /// All that are in it, whatever their state.
    pub(crate) fn messages(&self) -> u64 {
        self.waiting
            .saturating_add(self.in_flight)
            .saturating_add(self.delayed)
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
