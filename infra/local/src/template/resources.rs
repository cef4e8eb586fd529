//! Queues, tables and topics.

use anyhow::{anyhow, bail};

use super::{Node, name_of_arn, stacks::Stack};
use crate::backends::{DeadLetter, QueueSpec, TableSpec, TopicSpec};

pub(super) fn queues(stack: &Stack) -> anyhow::Result<Vec<QueueSpec>> {
    stack
        .of_kind("AWS::SQS::Queue")
        .iter()
        .map(|(id, queue)| read_queue(id, queue))
        .collect()
}

fn read_queue(id: &str, queue: &Node) -> anyhow::Result<QueueSpec> {
    let name = queue.get("QueueName").text_or(id)?;
    let fifo = queue.get("FifoQueue").flag(false)?;
    if fifo != name.ends_with(".fifo") {
        bail!(
            "{}: {name}: a FIFO queue's name, and no other, ends with .fifo",
            queue.get("QueueName")
        );
    }
    let redrive = queue.get("RedrivePolicy");
    let dead_letter = match redrive.exists() {
        false => None,
        true => {
            let target = redrive.get("deadLetterTargetArn").text()?;
            let receives = redrive.get("maxReceiveCount");
            Some(DeadLetter {
                queue: name_of_arn(&target).to_owned(),
                max_receive_count: receives
                    .number()?
                    .ok_or_else(|| anyhow!("{receives}: is missing"))?,
            })
        }
    };
    Ok(QueueSpec {
        name,
        fifo,
        visibility_timeout_s: queue.get("VisibilityTimeout").number()?.unwrap_or(30),
        content_based_deduplication: queue.get("ContentBasedDeduplication").flag(false)?,
        dead_letter,
        message_retention_s: queue
            .get("MessageRetentionPeriod")
            .number()?
            .unwrap_or(4 * 24 * 60 * 60),
    })
}

pub(super) fn tables(stack: &Stack) -> anyhow::Result<Vec<TableSpec>> {
    stack
        .of_kind("AWS::DynamoDB::Table")
        .iter()
        .map(|(id, table)| read_table(id, table))
        .collect()
}

fn read_table(id: &str, table: &Node) -> anyhow::Result<TableSpec> {
    let key = |kind: &str| -> anyhow::Result<Option<String>> {
        for entry in table.get("KeySchema").list() {
            if entry.get("KeyType").text()? == kind {
                return entry.get("AttributeName").text().map(Some);
            }
        }
        Ok(None)
    };
    for attribute in table.get("AttributeDefinitions").list() {
        if attribute.get("AttributeType").text()? != "S" {
            bail!(
                "{}: the local cloud creates keys of type S only",
                attribute.get("AttributeType")
            );
        }
    }
    for index in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        if table.get(index).exists() {
            bail!("{}: the local cloud doesn't create indexes yet", table.get(index));
        }
    }
    let expiry = table.get("TimeToLiveSpecification");
    let ttl_attribute = match expiry.get("Enabled").flag(false)? {
        true => Some(expiry.get("AttributeName").text()?),
        false => None,
    };
    Ok(TableSpec {
        name: table.get("TableName").text_or(id)?,
        partition_key: key("HASH")?.ok_or_else(|| anyhow!("{}: has no HASH key", table.get("KeySchema")))?,
        sort_key: key("RANGE")?,
        stream: table.get("StreamSpecification").exists(),
        ttl_attribute,
    })
}

pub(super) fn topics(stack: &Stack) -> anyhow::Result<Vec<TopicSpec>> {
    let topics = stack.metadata.get("Moneta").get("KafkaTopics");
    let read = |topic: &Node| {
        anyhow::Ok(TopicSpec {
            name: topic.get("Name").text()?,
            partitions: topic.get("Partitions").number()?.unwrap_or(1),
        })
    };
    topics.list().iter().map(read).collect()
}
