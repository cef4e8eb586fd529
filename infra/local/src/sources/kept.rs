//! The queues' messages from one run of the local cloud to the next: SQS here lives in memory, and what was sent there is
//! published for the functions, which never send it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Context;
use aws_sdk_sqs::{
    primitives::Blob,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::queues::Queues;
use crate::backends::sqs_transfer as transfer;

const FILE: &str = "queues.json";
/// How long a message on its way into the file is hidden, in seconds.
const HELD_S: i32 = 60;

/// How many messages there are of each queue.
pub(crate) type Counts = BTreeMap<String, usize>;

/// A message as the file has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    body: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, Attribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deduplication: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Attribute {
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary: Option<String>,
}

type File = BTreeMap<String, Vec<Kept>>;

/// Takes all messages out of the queues and writes them down. Nothing may be received meanwhile.
pub(crate) async fn save(queues: &Queues, state: &Path) -> anyhow::Result<Counts> {
    queues.give_back().await;
    let mut file = File::new();
    for name in queues.names() {
        let messages = take_all(queues, name).await?;
        if !messages.is_empty() {
            file.insert(name.to_owned(), messages);
        }
    }
    if file.is_empty() {
        return Ok(Counts::new());
    }
    let unfinished = state.join("queues.json.new");
    std::fs::write(&unfinished, serde_json::to_vec(&file)?)?;
    std::fs::rename(unfinished, path(state))?;
    Ok(count(&file))
}

/// Sends what the last run wrote down, and forgets it then.
pub(crate) async fn put_back(queues: &Queues, state: &Path) -> anyhow::Result<Counts> {
    let path = path(state);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Counts::new()),
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", path.display())),
    };
    let file: File =
        serde_json::from_slice(&text).with_context(|| format!("{} can't be understood", path.display()))?;
    for (name, messages) in &file {
        if queues.url(name).is_err() {
            tracing::warn!(
                "{} messages of {name} are dropped: there is no such queue any more",
                messages.len()
            );
            continue;
        }
        let mut used = BTreeSet::new();
        for message in messages {
            send(queues, name, message, &mut used).await.with_context(|| {
                format!(
                    "a message of {name} can't be sent; it stays in {}",
                    path.display()
                )
            })?;
        }
    }
    std::fs::remove_file(path)?;
    Ok(count(&file))
}

fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

fn count(file: &File) -> Counts {
    file.iter()
        .map(|(name, messages)| (name.clone(), messages.len()))
        .collect()
}

async fn take_all(queues: &Queues, name: &str) -> anyhow::Result<Vec<Kept>> {
    let url = queues.url(name)?;
    let mut taken = Vec::new();
    loop {
        let messages = transfer::receive(queues.client(), url, HELD_S).await?;
        if messages.is_empty() {
            return Ok(taken);
        }
        for message in messages {
            // A FIFO queue shows the next message of a group when this one is gone.
            transfer::delete(queues.client(), url, message.receipt_handle.clone()).await?;
            taken.push(kept(message));
        }
    }
}

fn kept(message: Message) -> Kept {
    let system = message.attributes.unwrap_or_default();
    let attribute = |(name, value): (String, MessageAttributeValue)| {
        let binary = value.binary_value.map(|bytes| STANDARD.encode(bytes));
        let attribute = Attribute {
            data_type: value.data_type,
            text: value.string_value,
            binary,
        };
        (name, attribute)
    };
    Kept {
        body: message.body.unwrap_or_default(),
        attributes: message
            .message_attributes
            .unwrap_or_default()
            .into_iter()
            .map(attribute)
            .collect(),
        group: system.get(&MessageSystemAttributeName::MessageGroupId).cloned(),
        deduplication: system
            .get(&MessageSystemAttributeName::MessageDeduplicationId)
            .cloned(),
    }
}

async fn send<'a>(
    queues: &Queues,
    name: &str,
    message: &'a Kept,
    used: &mut BTreeSet<&'a str>,
) -> anyhow::Result<()> {
    let mut send = queues
        .client()
        .send_message()
        .queue_url(queues.url(name)?)
        .message_body(&message.body);
    for (name, attribute) in &message.attributes {
        let binary = attribute
            .binary
            .as_ref()
            .map(|text| STANDARD.decode(text))
            .transpose()?;
        let value = MessageAttributeValue::builder()
            .data_type(&attribute.data_type)
            .set_string_value(attribute.text.clone())
            .set_binary_value(binary.map(Blob::new));
        send = send.message_attributes(name, value.build()?);
    }
    if let Some(group) = &message.group {
        // The id that it was sent with swallows a repetition by its sender, as it would have without the stop.
        let id = match &message.deduplication {
            Some(id) if used.insert(id) => id.clone(),
            _ => Uuid::now_v7().to_string(),
        };
        send = send.message_group_id(group).message_deduplication_id(id);
    }
    send.send().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::backends::{QueueSpec, Sqs, region};

    use super::*;

    async fn started() -> (Sqs, Queues) {
        let queue = |name: &str| QueueSpec {
            name: name.to_owned(),
            fifo: name.ends_with(".fifo"),
            visibility_timeout_s: 300,
            message_retention_s: 3600,
            content_based_deduplication: false,
            dead_letter: None,
        };
        let all = [queue("events"), queue("changes.fifo")];
        let sqs = Sqs::start(region()).await.unwrap();
        sqs.create_queues(&all).await.unwrap();
        let urls = all
            .iter()
            .map(|queue| (queue.name.clone(), sqs.url(&queue.name).unwrap()));
        let queues = Queues::new(sqs.client().clone(), urls.collect(), &all);
        (sqs, queues)
    }

    #[tokio::test]
    async fn messages_outlive_a_restart_those_in_a_functions_hands_too() {
        let state = tempfile::tempdir().unwrap();
        let (sqs, queues) = started().await;
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("id-7");
        let send = sqs
            .client()
            .send_message()
            .queue_url(queues.url("events").unwrap());
        send.message_body("{\"a\":1}")
            .message_attributes("correlation_id", attribute.build().unwrap())
            .send()
            .await
            .unwrap();
        for body in ["first", "second"] {
            let send = sqs
                .client()
                .send_message()
                .queue_url(queues.url("changes.fifo").unwrap());
            send.message_body(body)
                .message_group_id("7")
                .message_deduplication_id(body)
                .send()
                .await
                .unwrap();
        }
        let received = transfer::receive(sqs.client(), queues.url("events").unwrap(), 300)
            .await
            .unwrap();
        queues.received("events", &received);
        let counts = save(&queues, state.path()).await.unwrap();
        let expected = [("changes.fifo".to_owned(), 2), ("events".to_owned(), 1)];
        assert_eq!(counts, Counts::from(expected));
        sqs.stop().await;

        let (sqs, queues) = started().await;
        assert_eq!(put_back(&queues, state.path()).await.unwrap(), counts);
        let events = transfer::receive(sqs.client(), queues.url("events").unwrap(), 30)
            .await
            .unwrap();
        assert_eq!(events[0].body(), Some("{\"a\":1}"));
        let attributes = events[0].message_attributes().unwrap();
        assert_eq!(attributes["correlation_id"].string_value(), Some("id-7"));
        assert_eq!(
            take_all(&queues, "changes.fifo")
                .await
                .unwrap()
                .iter()
                .map(|message| message.body.as_str())
                .collect::<Vec<_>>(),
            ["first", "second"]
        );
        assert!(put_back(&queues, state.path()).await.unwrap().is_empty());
        sqs.stop().await;
    }
}
