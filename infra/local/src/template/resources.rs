//! The resources other than functions: the HTTP API, queues, tables, topics.

use anyhow::{anyhow, bail};

use super::{Authorizer, Node, Resolver, name_of_arn};
use crate::backends::{DeadLetter, QueueSpec, TableSpec, TopicSpec};

/// What the routes need to know of their API.
#[derive(Default)]
pub(super) struct HttpApi {
    pub(super) authorizer: Option<Authorizer>,
    /// The scopes of every route that names none.
    pub(super) scopes: Vec<String>,
    /// Whether a route is guarded without saying so.
    pub(super) guarded: bool,
}

pub(super) fn http_api(resolver: &Resolver<'_>) -> anyhow::Result<HttpApi> {
    let resources = resolver.resources("AWS::Serverless::HttpApi")?;
    let global = resolver.section("Globals")?.get("HttpApi").get("Auth");
    let auth = match resources.as_slice() {
        [] => global,
        [(_, api)] if api.get("Auth").exists() => api.get("Auth"),
        [_] => global,
        _ => bail!("more than one AWS::Serverless::HttpApi: the local cloud serves one"),
    };
    let default = auth.get("DefaultAuthorizer").optional_text()?;
    let authorizers = auth.get("Authorizers").entries()?;
    let chosen = match &default {
        Some(name) => authorizers.iter().find(|(other, _)| other == name),
        None => authorizers.first(),
    };
    let Some((_, chosen)) = chosen else {
        return match default {
            Some(name) => Err(anyhow!(
                "{auth}: the authorizer {name} isn't among the Authorizers"
            )),
            None => Ok(HttpApi::default()),
        };
    };
    let jwt = chosen.get("JwtConfiguration");
    // Both spellings are accepted by SAM.
    let either = |lower: &str, upper: &str| {
        if jwt.get(lower).exists() {
            jwt.get(lower)
        } else {
            jwt.get(upper)
        }
    };
    Ok(HttpApi {
        authorizer: Some(Authorizer {
            issuer: either("issuer", "Issuer").text()?,
            audience: either("audience", "Audience").texts()?,
        }),
        scopes: chosen.get("AuthorizationScopes").texts()?,
        guarded: default.is_some(),
    })
}

pub(super) fn queues(resolver: &Resolver<'_>) -> anyhow::Result<Vec<QueueSpec>> {
    resolver
        .resources("AWS::SQS::Queue")?
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

pub(super) fn tables(resolver: &Resolver<'_>) -> anyhow::Result<Vec<TableSpec>> {
    resolver
        .resources("AWS::DynamoDB::Table")?
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

pub(super) fn topics(resolver: &Resolver<'_>) -> anyhow::Result<Vec<TopicSpec>> {
    let topics = resolver.section("Metadata")?.get("Moneta").get("KafkaTopics");
    let read = |topic: &Node| {
        anyhow::Ok(TopicSpec {
            name: topic.get("Name").text()?,
            partitions: topic.get("Partitions").number()?.unwrap_or(1),
        })
    };
    topics.list().iter().map(read).collect()
}
