//! The stand-ins for the managed services: PostgreSQL as a child process, DynamoDB, SQS and Kafka inside this process.
//!
//! Each starts on a port of the loopback interface, gets a list of what to create (which the
//! local cloud reads from the template) and has a `stop` that returns when the port is free again.

mod dynamodb;
mod kafka;
mod observed;
mod postgres;
pub(crate) mod prerequisites;
mod sqs;

pub use dynamodb::DynamoDb;
pub use kafka::Kafka;
pub(crate) use postgres::{Durability, FOLDER as POSTGRES_FOLDER, elsewhere as postgres_elsewhere};
pub use postgres::{Postgres, TestDatabase, find_programs as postgres_programs};
pub use sqs::Sqs;
pub(crate) use sqs::transfer as sqs_transfer;

use std::sync::LazyLock;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;

/// The settings of the deployment, as they were when this was built.
const DEPLOYMENT: &str = include_str!("../../../../samconfig.toml");
/// The stage that the local cloud is most like.
const LIKE_STAGE: &str = "dev";
/// Used when the settings name none, which a test rules out.
const REGION_OF_LAST_RESORT: &str = "us-east-1";

static REGION: LazyLock<String> =
    LazyLock::new(|| region_of(LIKE_STAGE).unwrap_or_else(|| REGION_OF_LAST_RESORT.to_owned()));

/// The AWS region that everything local is in: that of the stage `dev` in `samconfig.toml`.
pub fn region() -> &'static str {
    &REGION
}

fn region_of(stage: &str) -> Option<String> {
    let settings: toml::Table = DEPLOYMENT.parse().ok()?;
    let parameters = settings.get(stage)?.get("global")?.get("parameters")?;
    Some(parameters.get("region")?.as_str()?.to_owned())
}

/// The access key id that is used for everything local; no backend checks it.
pub const ACCESS_KEY_ID: &str = "local";
/// The secret access key that is used for everything local; no backend checks it.
pub const SECRET_ACCESS_KEY: &str = "local";

/// An SQS queue to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// The queue's name; a FIFO queue's ends in `.fifo`.
    pub name: String,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// For how long a received message stays hidden, in seconds.
    pub visibility_timeout_s: u32,
    /// For how long a message is kept, in seconds.
    pub message_retention_s: u32,
    /// FIFO only: a message without a deduplication id is deduplicated by its body.
    pub content_based_deduplication: bool,
    /// Where messages go that failed too often.
    pub dead_letter: Option<DeadLetter>,
}

/// The redrive policy of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Name of the dead-letter queue, which is in the same list of specifications.
    pub queue: String,
    /// A message received more often than this moves to the dead-letter queue.
    pub max_receive_count: u32,
}

/// A DynamoDB table to create; its keys are strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The table's name.
    pub name: String,
    /// Name of the partition key.
    pub partition_key: String,
    /// Name of the sort key.
    pub sort_key: Option<String>,
    /// Whether the table has a stream of new and old images.
    pub stream: bool,
    /// The attribute with an item's time to live.
    pub ttl_attribute: Option<String>,
}

/// A Kafka topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// The topic's name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
}

/// The configuration of an AWS SDK client that talks to a local endpoint.
pub async fn sdk_config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::from_static(region()))
        .credentials_provider(Credentials::new(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            None,
            None,
            "local",
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .load()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_deployment() {
        assert_eq!(region_of(LIKE_STAGE).as_deref(), Some(region()));
        assert_eq!(region_of("nowhere"), None);
    }
}
