//! DynamoDB with streams and time to live: dynoxide, behind its own listener inside this process.
//!
//! Differences from AWS: a stream has one shard, ARNs name a region ("dynoxide") and an account of its own, reads are
//! always consistent, and an expired item stays readable until the sweep, which runs once a minute.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TimeToLiveSpecification, TimeToLiveStatus,
};
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::{TableSpec, observed, sdk_config};

const TIME_TO_LIVE_SWEEP: Duration = Duration::from_secs(60);
/// Each write asks for a table's newest record of its stream, and each read for those behind one. Without an index either reads
/// all that ever were: a write took 10 ms after 40,000 others.
const INDEX_OF_STREAMS: &str = "CREATE INDEX IF NOT EXISTS stream_records_by_sequence
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// A running DynamoDB.
#[derive(Debug)]
pub struct DynamoDb {
    endpoint: String,
    client: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
    answered: watch::Receiver<()>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
    entrance: JoinHandle<()>,
    sweeper: JoinHandle<()>,
}

impl DynamoDb {
    /// Starts it on the database in `file` (created when missing), or in memory, on a free port.
    pub async fn start(file: Option<PathBuf>) -> anyhow::Result<Self> {
        Self::start_on(crate::ports::free().await?, file).await
    }

    /// As [`Self::start`], on this port.
    pub(crate) async fn start_on(listener: TcpListener, file: Option<PathBuf>) -> anyhow::Result<Self> {
        let database = tokio::task::spawn_blocking(move || open(file)).await??;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (answering, answered) = watch::channel(());
        let inner = TcpListener::bind("127.0.0.1:0").await?;
        let inner_address = inner.local_addr()?;
        let sweeper = tokio::spawn(sweep(database.clone(), answering.clone()));
        let entrance = tokio::spawn(observed::pass_on(listener, inner_address, answering));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(inner, database, async {
            let _ = stopped.await;
        }));
        let config = sdk_config(&endpoint).await;
        let client = aws_sdk_dynamodb::Client::new(&config);
        // Whoever reads the streams does so after each answer, of which there must not be one more each time.
        let inner_config = sdk_config(&format!("http://{inner_address}")).await;
        let streams = aws_sdk_dynamodbstreams::Client::new(&inner_config);
        Ok(Self {
            endpoint,
            client,
            streams,
            answered,
            stop,
            server,
            entrance,
            sweeper,
        })
    }

    /// The endpoint's URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of the tables.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.client
    }

    /// A client of the tables' streams.
    pub fn streams(&self) -> &aws_sdk_dynamodbstreams::Client {
        &self.streams
    }

    /// Changes with each answer that anybody but the readers of streams has got, and when expired items were deleted: there may be
    /// something in a stream.
    pub fn answered(&self) -> watch::Receiver<()> {
        self.answered.clone()
    }

    /// Creates the tables that don't exist yet, with their streams and times to live.
    pub async fn create_tables(&self, tables: &[TableSpec]) -> anyhow::Result<()> {
        for table in tables {
            self.create_table(table)
                .await
                .with_context(|| format!("cannot create the table {}", table.name))?;
        }
        Ok(())
    }

    /// The ARN of a table's stream, if it has one.
    pub async fn stream_arn(&self, table: &str) -> anyhow::Result<Option<String>> {
        let description = self.client.describe_table().table_name(table).send().await?;
        Ok(description.table.and_then(|table| table.latest_stream_arn))
    }

    /// Ends the server; a database in a file is kept.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.sweeper.abort();
        let _ = self.sweeper.await;
        // The server waits for connections that are in use; the clients' pooled ones are idle.
        drop((self.client, self.streams));
        self.entrance.abort();
        let _ = self.entrance.await;
        let _ = self.stop.send(());
        let mut server = self.server;
        match tokio::time::timeout(Duration::from_secs(3), &mut server).await {
            Ok(ended) => ended?.map_err(anyhow::Error::msg),
            Err(_) => {
                server.abort();
                Ok(())
            }
        }
    }

    async fn create_table(&self, table: &TableSpec) -> anyhow::Result<()> {
        let existing = self.client.list_tables().into_paginator().items().send();
        let existing = existing.collect::<Result<Vec<String>, _>>().await?;
        if !existing.contains(&table.name) {
            self.create_missing_table(table).await?;
        }
        match &table.ttl_attribute {
            Some(attribute) => self.enable_time_to_live(&table.name, attribute).await,
            None => Ok(()),
        }
    }

    async fn create_missing_table(&self, table: &TableSpec) -> anyhow::Result<()> {
        let mut create = self
            .client
            .create_table()
            .table_name(&table.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(string_attribute(&table.partition_key)?)
            .key_schema(key(&table.partition_key, KeyType::Hash)?);
        if let Some(sort_key) = &table.sort_key {
            create = create
                .attribute_definitions(string_attribute(sort_key)?)
                .key_schema(key(sort_key, KeyType::Range)?);
        }
        if table.stream {
            let stream = StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages);
            create = create.stream_specification(stream.build()?);
        }
        create.send().await?;
        Ok(())
    }

    async fn enable_time_to_live(&self, table: &str, attribute: &str) -> anyhow::Result<()> {
        let now = self
            .client
            .describe_time_to_live()
            .table_name(table)
            .send()
            .await?;
        let status = now
            .time_to_live_description
            .and_then(|description| description.time_to_live_status);
        if status == Some(TimeToLiveStatus::Enabled) {
            return Ok(());
        }
        let specification = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(attribute);
        self.client
            .update_time_to_live()
            .table_name(table)
            .time_to_live_specification(specification.build()?)
            .send()
            .await?;
        Ok(())
    }
}

fn open(file: Option<PathBuf>) -> anyhow::Result<Database> {
    let Some(file) = file else {
        // A database in memory lets nobody else in: it begins as a copy of one that has the index.
        let folder = tempfile::tempdir()?;
        let (model, database) = (folder.path().join("model.sqlite"), Database::memory()?);
        drop(open_file(&model)?);
        database.restore_from(path_text(&model)?)?;
        return Ok(database);
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    open_file(&file)
}

fn open_file(file: &Path) -> anyhow::Result<Database> {
    let name = path_text(file)?;
    let database = Database::new(name).with_context(|| format!("cannot open {name}"))?;
    rusqlite::Connection::open(file)?.execute_batch(INDEX_OF_STREAMS)?;
    Ok(database)
}

fn path_text(file: &Path) -> anyhow::Result<&str> {
    file.to_str()
        .context("the path of the DynamoDB file is not UTF-8")
}

async fn sweep(database: Database, answering: watch::Sender<()>) {
    let mut clock = tokio::time::interval(TIME_TO_LIVE_SWEEP);
    loop {
        clock.tick().await;
        let database = database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "deleting expired items failed");
        }
        // What expires by itself is deleted without an answer to anybody.
        answering.send_replace(());
    }
}

fn string_attribute(name: &str) -> anyhow::Result<AttributeDefinition> {
    let attribute = AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S);
    Ok(attribute.build()?)
}

fn key(name: &str, kind: KeyType) -> anyhow::Result<KeySchemaElement> {
    Ok(KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()?)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use aws_sdk_dynamodbstreams::types::ShardIteratorType;

    use super::*;

    fn notifications() -> TableSpec {
        TableSpec {
            name: "notifications".to_owned(),
            partition_key: "pk".to_owned(),
            sort_key: Some("sk".to_owned()),
            stream: true,
            ttl_attribute: Some("expires_at".to_owned()),
        }
    }

    async fn put(database: &DynamoDb) {
        let put = database.client().put_item().table_name("notifications");
        let put = put.item("pk", AttributeValue::S("1".to_owned()));
        put.item("sk", AttributeValue::S("a".to_owned()))
            .send()
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_table_in_a_file_outlives_a_restart_and_is_created_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/dynamodb.sqlite");
        let database = DynamoDb::start(Some(file.clone())).await.unwrap();
        database.create_tables(&[notifications()]).await.unwrap();
        put(&database).await;
        database.stop().await.unwrap();

        let database = DynamoDb::start(Some(file)).await.unwrap();
        database.create_tables(&[notifications()]).await.unwrap();
        let items = database
            .client()
            .scan()
            .table_name("notifications")
            .send()
            .await
            .unwrap();
        assert_eq!(items.count(), 1);
        database.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_change_appears_on_the_tables_stream() {
        let database = DynamoDb::start(None).await.unwrap();
        database.create_tables(&[notifications()]).await.unwrap();
        put(&database).await;
        let arn = database.stream_arn("notifications").await.unwrap().unwrap();
        let streams = database.streams();
        let description = streams.describe_stream().stream_arn(&arn).send().await.unwrap();
        let shards = description.stream_description.unwrap().shards.unwrap();
        let iterator = streams
            .get_shard_iterator()
            .stream_arn(&arn)
            .shard_id(shards[0].shard_id.clone().unwrap())
            .shard_iterator_type(ShardIteratorType::TrimHorizon);
        let iterator = iterator.send().await.unwrap().shard_iterator.unwrap();
        let records = streams
            .get_records()
            .shard_iterator(iterator)
            .send()
            .await
            .unwrap();
        let records = records.records.unwrap();
        assert!(records[0].dynamodb.as_ref().unwrap().new_image.is_some());
        database.stop().await.unwrap();
    }
}
