//! The backends, local or real, and the clients of theirs.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, anyhow, ensure};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};

use super::databases::Databases;
use crate::{
    backends::{self, DynamoDb, Kafka, QueueSpec, Sqs},
    clock::LocalClock,
    options::Options,
    progress::Progress,
    sandboxes::{EventSink, PaymentTopic, SandboxOptions, Sandboxes},
    template::{NAME_PREFIX, Template},
    util::database_url::{DATABASE_URL, without_password},
};

/// The queue of DriveWealth's events.
const DRIVEWEALTH_EVENTS: &str = "drivewealth-events";
/// The topic on which Billing tells payments.
const BILLING_PAYMENTS: &str = "billing.payments";
/// The variable of the user as whom a function signs in.
pub(super) const DATABASE_USER: &str = "DATABASE_USER";
/// The variable of the further nodes of the wallets.
pub(super) const WALLET_NODES: &str = "WALLET_NODES";

/// The backends with their addresses and clients.
pub(super) struct Connections {
    pub(super) database_url: String,
    /// The databases that run here.
    pub(super) databases: Databases,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) streams: aws_sdk_dynamodbstreams::Client,
    /// Changes when there may be something in a stream; the DynamoDB of AWS doesn't say.
    pub(super) tables_answered: Option<watch::Receiver<()>>,
    pub(super) dynamodb_endpoint: String,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) sqs_endpoint: String,
    pub(super) queue_urls: BTreeMap<String, String>,
    pub(super) kafka_brokers: String,
    local: LocalBackends,
}

/// Those that run here.
#[derive(Default)]
struct LocalBackends {
    dynamodb: Option<DynamoDb>,
    sqs: Option<Sqs>,
    kafka: Option<Kafka>,
}

/// Where they listen; a real service needs no port here.
pub(super) struct BackendPorts {
    pub(super) postgres: Option<u16>,
    pub(super) wallet_nodes: Vec<Option<u16>>,
    pub(super) dynamodb: Option<TcpListener>,
    pub(super) sqs: Option<TcpListener>,
}

struct Tables {
    client: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
    /// Changes when there may be something in a stream; the one of AWS doesn't say.
    answered: Option<watch::Receiver<()>>,
    endpoint: String,
    local: Option<DynamoDb>,
}

struct QueueService {
    client: aws_sdk_sqs::Client,
    endpoint: String,
    urls: BTreeMap<String, String>,
    local: Option<Sqs>,
}

impl Connections {
    /// Starts what isn't replaced by a real service, all at the same time, with the template's queues, tables and topics.
    pub(super) async fn start(
        options: &Options,
        template: &Template,
        ports: BackendPorts,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let ((database_url, databases), tables, queues, (kafka_brokers, kafka)) = tokio::try_join!(
            database(options, template, ports.postgres, ports.wallet_nodes, progress),
            tables(options, template, ports.dynamodb, progress),
            queues(options, template, ports.sqs, progress),
            brokers(options, template, progress),
        )?;
        Ok(Self {
            database_url,
            databases,
            dynamodb: tables.client,
            streams: tables.streams,
            tables_answered: tables.answered,
            dynamodb_endpoint: tables.endpoint,
            sqs: queues.client,
            sqs_endpoint: queues.endpoint,
            queue_urls: queues.urls,
            kafka_brokers,
            local: LocalBackends {
                dynamodb: tables.local,
                sqs: queues.local,
                kafka,
            },
        })
    }

    /// The addresses, to show: without the database's password.
    pub(super) fn addresses(&self) -> BTreeMap<String, String> {
        let database_url = without_password(&self.database_url);
        let nodes = self.further_node_urls();
        let nodes: Vec<String> = nodes.iter().map(|url| without_password(url)).collect();
        let nodes = nodes.join(" ");
        let addresses = [
            (DATABASE_URL, &database_url),
            (WALLET_NODES, &nodes),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb_endpoint),
            ("AWS_ENDPOINT_URL_SQS", &self.sqs_endpoint),
            ("KAFKA_BROKERS", &self.kafka_brokers),
        ];
        addresses
            .into_iter()
            .filter(|(_, address)| !address.is_empty())
            .map(|(name, address)| (name.to_owned(), address.clone()))
            .collect()
    }

    /// The addresses of the further nodes of the wallets, for the owner.
    pub(super) fn further_node_urls(&self) -> Vec<String> {
        self.databases
            .urls()
            .split_off(1.min(self.databases.urls().len()))
    }

    /// Says how many messages are in the topics, which end with the broker.
    pub(super) async fn say_what_is_lost(&self, progress: Progress) {
        let Some(kafka) = self.local.kafka.as_ref().filter(|_| progress.is_shown()) else {
            return;
        };
        match kafka.count().await {
            Ok(counts) if counts.is_empty() => {}
            Ok(counts) => progress.note(format_args!(
                "Gone with the topics, which begin empty: {}",
                super::listed(&counts)
            )),
            Err(error) => tracing::warn!("the topics' messages can't be counted: {error:#}"),
        }
    }

    /// Whether the database has the users that the template names; one that runs elsewhere has whom its address names.
    pub(super) fn has_database_users(&self) -> bool {
        self.databases.are_here()
    }

    /// Stops the backends that run here, all at the same time.
    pub(super) async fn stop(self) {
        let Self {
            local,
            databases,
            dynamodb,
            streams,
            sqs,
            ..
        } = self;
        drop((dynamodb, streams, sqs));
        let dynamodb = async {
            match local.dynamodb {
                Some(dynamodb) => dynamodb.stop().await,
                None => Ok(()),
            }
        };
        let kafka = async {
            match local.kafka {
                Some(kafka) => kafka.stop().await,
                None => Ok(()),
            }
        };
        let sqs = async {
            if let Some(sqs) = local.sqs {
                sqs.stop().await;
            }
            Ok(())
        };
        let (failed, dynamodb, kafka, sqs) = tokio::join!(databases.stop(), dynamodb, kafka, sqs);
        let others = [dynamodb, kafka, sqs].into_iter().filter_map(Result::err);
        for error in failed.into_iter().chain(others) {
            tracing::warn!("stopping a backend failed: {error:#}");
        }
    }
}

async fn database(
    options: &Options,
    template: &Template,
    port: Option<u16>,
    of_nodes: Vec<Option<u16>>,
    progress: Progress,
) -> anyhow::Result<(String, Databases)> {
    if let Some(url) = &options.external.database_url {
        ensure!(
            options.wallet_nodes == 1,
            "with DATABASE_URL the wallets have one node, which is that database"
        );
        progress.ready(Instant::now(), "PostgreSQL", "the one of DATABASE_URL");
        return Ok((url.clone(), Databases::default()));
    }
    let users = template
        .functions
        .iter()
        .filter_map(|function| function.environment.get(DATABASE_USER));
    let users = users.cloned().collect();
    let databases = Databases::start(options, &users, port, of_nodes, progress).await?;
    let url = databases
        .urls()
        .into_iter()
        .next()
        .context("no database was started")?;
    Ok((url, databases))
}

async fn tables(
    options: &Options,
    template: &Template,
    listener: Option<TcpListener>,
    progress: Progress,
) -> anyhow::Result<Tables> {
    let begun = Instant::now();
    if let Some(endpoint) = &options.external.dynamodb_endpoint {
        let config = backends::sdk_config(endpoint).await;
        let client = aws_sdk_dynamodb::Client::new(&config);
        for table in &template.tables {
            let described = client.describe_table().table_name(&table.name).send().await;
            described.with_context(|| format!("{endpoint} has no table {}; create it there", table.name))?;
        }
        progress.ready(begun, "DynamoDB", "the one of AWS_ENDPOINT_URL_DYNAMODB");
        let streams = aws_sdk_dynamodbstreams::Client::new(&config);
        return Ok(Tables {
            client,
            streams,
            answered: None,
            endpoint: endpoint.clone(),
            local: None,
        });
    }
    let file = options.keep_state.then(|| options.state.join("dynamodb.sqlite"));
    let listener = listener.context("DynamoDB has no port")?;
    let dynamodb = DynamoDb::start_on(listener, file)
        .await
        .context("DynamoDB doesn't start")?;
    dynamodb.create_tables(&template.tables).await?;
    progress.ready(
        begun,
        "DynamoDB",
        format_args!("{}, {} tables", dynamodb.endpoint(), template.tables.len()),
    );
    Ok(Tables {
        client: dynamodb.client().clone(),
        streams: dynamodb.streams().clone(),
        answered: Some(dynamodb.answered()),
        endpoint: dynamodb.endpoint().to_owned(),
        local: Some(dynamodb),
    })
}

async fn queues(
    options: &Options,
    template: &Template,
    listener: Option<TcpListener>,
    progress: Progress,
) -> anyhow::Result<QueueService> {
    let begun = Instant::now();
    if let Some(endpoint) = &options.external.sqs_endpoint {
        let client = aws_sdk_sqs::Client::new(&backends::sdk_config(endpoint).await);
        let urls = external_queues(&client, &template.queues)
            .await
            .with_context(|| endpoint.clone())?;
        progress.ready(begun, "SQS", "the one of AWS_ENDPOINT_URL_SQS");
        return Ok(QueueService {
            client,
            endpoint: endpoint.clone(),
            urls,
            local: None,
        });
    }
    let listener = listener.context("SQS has no port")?;
    let sqs = Sqs::start_on(listener, backends::region())
        .await
        .context("SQS doesn't start")?;
    sqs.create_queues(&template.queues).await?;
    let urls = template
        .queues
        .iter()
        .filter_map(|queue| Some((queue.name.clone(), sqs.url(&queue.name)?)));
    let urls = urls.collect();
    progress.ready(
        begun,
        "SQS",
        format_args!("{}, {} queues", sqs.endpoint(), template.queues.len()),
    );
    Ok(QueueService {
        client: sqs.client().clone(),
        endpoint: sqs.endpoint().to_owned(),
        urls,
        local: Some(sqs),
    })
}

/// Creates the queues in an external SQS; one that is there already is as good.
async fn external_queues(
    client: &aws_sdk_sqs::Client,
    queues: &[QueueSpec],
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut dead_letters_first: Vec<&QueueSpec> = queues.iter().collect();
    dead_letters_first.sort_by_key(|queue| queue.dead_letter.is_some());
    let mut urls: BTreeMap<String, String> = BTreeMap::new();
    for queue in dead_letters_first {
        let mut create = client.create_queue().queue_name(&queue.name).attributes(
            QueueAttributeName::VisibilityTimeout,
            queue.visibility_timeout_s.to_string(),
        );
        if queue.fifo {
            create = create.attributes(QueueAttributeName::FifoQueue, "true");
        }
        if let Some(dead) = &queue.dead_letter {
            let url = urls
                .get(&dead.queue)
                .ok_or_else(|| anyhow!("no queue is named {}", dead.queue))?;
            let arn = arn_of(client, url).await?;
            let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": dead.max_receive_count });
            create = create.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        }
        let url = match create.send().await {
            Ok(created) => created.queue_url,
            Err(_) => {
                client
                    .get_queue_url()
                    .queue_name(&queue.name)
                    .send()
                    .await?
                    .queue_url
            }
        };
        urls.insert(
            queue.name.clone(),
            url.ok_or_else(|| anyhow!("{} has no URL", queue.name))?,
        );
    }
    Ok(urls)
}

async fn arn_of(client: &aws_sdk_sqs::Client, url: &str) -> anyhow::Result<String> {
    let attributes = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::QueueArn);
    let attributes = attributes.send().await?.attributes.unwrap_or_default();
    attributes
        .get(&QueueAttributeName::QueueArn)
        .cloned()
        .ok_or_else(|| anyhow!("{url} has no ARN"))
}

async fn brokers(
    options: &Options,
    template: &Template,
    progress: Progress,
) -> anyhow::Result<(String, Option<Kafka>)> {
    let begun = Instant::now();
    if let Some(brokers) = &options.external.kafka_brokers {
        progress.ready(begun, "Kafka", "the one of KAFKA_BROKERS");
        return Ok((brokers.clone(), None));
    }
    let kafka = Kafka::start(&template.topics)
        .await
        .context("Kafka doesn't start")?;
    let brokers = kafka.brokers().to_owned();
    progress.ready(
        begun,
        "Kafka",
        format_args!(
            "{brokers}, {} topics (a free port: the mock cluster takes no fixed one)",
            template.topics.len()
        ),
    );
    Ok((brokers, Some(kafka)))
}

/// Starts the stand-ins of the outside parties; DriveWealth's events go to the queue that the template has for them, and
/// Billing's payments to their topic.
pub(super) async fn start_sandboxes(
    options: &Options,
    connections: &Connections,
    listener: TcpListener,
    smtp: TcpListener,
    clock: &LocalClock,
) -> anyhow::Result<Sandboxes> {
    let queue = connections
        .queue_urls
        .get(&format!("{}{DRIVEWEALTH_EVENTS}", NAME_PREFIX));
    let events = queue.map(|url| EventSink {
        client: connections.sqs.clone(),
        queue_url: url.clone(),
    });
    let payments = PaymentTopic {
        brokers: connections.kafka_brokers.clone(),
        topic: BILLING_PAYMENTS.to_owned(),
    };
    let state = options.keep_state.then(|| options.state.clone());
    Sandboxes::start(SandboxOptions {
        listener: Some(listener),
        smtp: Some(smtp),
        events,
        payments: Some(payments),
        state,
        key_pairs: Some(options.key_pairs.clone()),
        clock: clock.clone(),
    })
    .await
    .context("the sandboxes don't start")
}
