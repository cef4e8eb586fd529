//! How fast the relay publishes: messages a second to a local broker, beside what a bare producer reaches in the same run; and
//! how long an event takes from its commit to its topic when nothing else happens. `make bench`.
//!
//! The relay runs in this process, as its function would, against a durable PostgreSQL. A consumer reads along, as the
//! local broker keeps no more than 100,000 messages of a partition.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::float_arithmetic, reason = "rates of messages, not money")]

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use local_cloud::{LocalCloud, Options};
use maintenance::relay::Relay;
use platform::config::{Environment, FromEnvironment};
use platform::deadline::Deadline;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::Instant;

const TOPIC: &str = "trading.events";
/// Messages that wait, each of a key of its own; the last is of one key.
const BACKLOGS: [(&str, u64, &str); 4] = [
    ("10,000 keys", 10_000, "'key-' || n"),
    ("100,000 keys", 100_000, "'key-' || n"),
    ("1,000,000 keys", 1_000_000, "'key-' || n"),
    ("one key", 50_000, "'one'"),
];
const BARE: u64 = 200_000;
/// What the bare producer has on its way at a time: as much as librdkafka's queue takes.
const IN_FLIGHT: usize = 50_000;
const SINGLE_EVENTS: usize = 300;
/// The longest that a function of the relay runs.
const RUN: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has a folder")?
        .to_owned();
    let mut options = Options::for_tests(&root);
    options.durable_database = true;
    let cloud = LocalCloud::start(options).await?;
    let outcome = measure(&cloud).await;
    cloud.stop().await;
    outcome
}

async fn measure(cloud: &LocalCloud) -> anyhow::Result<()> {
    let reader = Reader::start(cloud.kafka_brokers())?;
    // Filling in takes longer than a function's statement may.
    let patient = PgConnectOptions::from_str(cloud.database_url())?.options([("statement_timeout", "0")]);
    let database = PgPool::connect_with(patient).await?;
    single_events(cloud, &database, &reader).await?;

    // From here on nobody else publishes.
    cloud.pause_event_source("outbox-nudges", true).await?;
    let relay = relay(cloud)?;
    // The first run makes the producer, which takes half a second once.
    backlog(&relay, &database, 1_000, "'first-' || n").await?;
    let bare = bare_producer(cloud.kafka_brokers()).await?;
    println!("{:<16} {:>12} {:>14}", "", "messages/s", "of the bare");
    println!("{:<16} {bare:>12.0}", "bare producer");
    for (name, count, key) in BACKLOGS {
        let rate = backlog(&relay, &database, count, key).await?;
        println!("{name:<16} {rate:>12.0} {:>13.0} %", 100.0 * rate / bare);
    }
    let bare = bare_producer(cloud.kafka_brokers()).await?;
    println!("{:<16} {bare:>12.0}", "bare, again");
    reader.stop();
    Ok(())
}

fn relay(cloud: &LocalCloud) -> anyhow::Result<Relay> {
    let queue = |name: &str| cloud.queue_url(name);
    let variables = [
        ("DATABASE_URL", cloud.database_url().to_owned()),
        ("QUEUE_DOMAIN_EVENTS_URL", queue("domain-events")?),
        ("QUEUE_OUTBOX_NUDGES_URL", queue("outbox-nudges")?),
        ("KAFKA_BROKERS", cloud.kafka_brokers().to_owned()),
        ("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT".to_owned()),
    ];
    let mut environment = Environment::of(variables.map(|(name, value)| (name.to_owned(), value)));
    let relay = Relay::read(&mut environment);
    Ok(environment.finish(relay)?)
}

/// Fills the outbox and empties it again; gives messages a second. All of them have to be acknowledged.
async fn backlog(relay: &Relay, database: &PgPool, count: u64, key: &str) -> anyhow::Result<f64> {
    run(database, "TRUNCATE outbox_messages").await?;
    run(
        database,
        &format!(
            "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
             SELECT id, 'money-flow.succeeded', {key}, \
                    jsonb_build_object('id', id, 'type', 'money-flow.succeeded', 'occurred_at', now(), 'key', {key}, \
                        'correlation_id', gen_random_uuid(), 'data', jsonb_build_object('money_flow_id', n, \
                        'profile_id', n, 'trading_account_id', n, 'direction', 'deposit', 'amount_cents', 10000, \
                        'currency', 'USD', 'reason', NULL)), \
                    'topic', '{TOPIC}' \
             FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, {count}) AS n) AS event"
        ),
    )
    .await?;
    run(database, "VACUUM ANALYZE outbox_messages").await?;
    let begun = Instant::now();
    let mut published = 0;
    while published < count {
        let report = relay.run(Deadline::after(RUN)).await?;
        ensure!(
            report.failed == 0 && report.published > 0,
            "the relay says {report:?}"
        );
        published += u64::try_from(report.published)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(published == count, "{published} messages instead of {count}");
    Ok(f64::from(u32::try_from(count)?) / seconds)
}

/// What a producer with the relay's settings reaches when it has nothing else to do.
async fn bare_producer(brokers: &str) -> anyhow::Result<f64> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .create()?;
    let payload = "x".repeat(420);
    let begun = Instant::now();
    let mut waiting = std::collections::VecDeque::with_capacity(IN_FLIGHT);
    for number in 0..BARE {
        if waiting.len() == IN_FLIGHT {
            acknowledged(waiting.pop_front()).await?;
        }
        let key = format!("key-{number}");
        let record = FutureRecord::to(TOPIC).key(&key).payload(&payload);
        waiting.push_back(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    while let Some(delivery) = waiting.pop_front() {
        acknowledged(Some(delivery)).await?;
    }
    Ok(f64::from(u32::try_from(BARE)?) / begun.elapsed().as_secs_f64())
}

async fn acknowledged(
    delivery: Option<rdkafka::producer::future_producer::DeliveryFuture>,
) -> anyhow::Result<()> {
    if let Some(delivery) = delivery {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}

/// Commits an event, wakes the relay's function as an area does, and waits until the topic has it; one after the other.
async fn single_events(cloud: &LocalCloud, database: &PgPool, reader: &Reader) -> anyhow::Result<()> {
    let url = cloud.queue_url("outbox-nudges")?;
    let mut times = Vec::with_capacity(SINGLE_EVENTS);
    for number in 0..SINGLE_EVENTS {
        let seen = reader.seen();
        sqlx::query(
            "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
             VALUES (gen_random_uuid(), 'probe.happened', $1, '{}', 'topic', 'trading.events')",
        )
        .bind(format!("single-{number}"))
        .execute(database)
        .await?;
        let begun = Instant::now();
        cloud
            .sqs()
            .send_message()
            .queue_url(&url)
            .message_body("{}")
            .send()
            .await?;
        while reader.seen() == seen {
            ensure!(begun.elapsed() < RUN, "the event isn't on its topic");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        times.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The first ones start the function.
    let mut warm = times.split_off(10);
    warm.sort_unstable();
    let at = |part: usize| warm.get(warm.len() * part / 100).copied().unwrap_or_default();
    println!("event to topic, idle: p50 {:.1?}, p99 {:.1?}\n", at(50), at(99));
    Ok(())
}

async fn run(database: &PgPool, script: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(script.to_owned()))
        .execute(database)
        .await?;
    Ok(())
}

/// Reads the topic to its end, all the time.
struct Reader {
    seen: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Reader {
    fn start(brokers: &str) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "bench")
            .set("fetch.wait.max.ms", "5")
            .create()?;
        let topic = consumer.fetch_metadata(Some(TOPIC), Duration::from_secs(10))?;
        let mut partitions = rdkafka::TopicPartitionList::new();
        for partition in topic.topics().iter().flat_map(|topic| topic.partitions()) {
            partitions.add_partition_offset(TOPIC, partition.id(), rdkafka::Offset::Beginning)?;
        }
        consumer.assign(&partitions)?;
        let (seen, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let reader = Self {
            seen: Arc::clone(&seen),
            is_over: Arc::clone(&is_over),
        };
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100))
                    && message.payload().is_some()
                {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(reader)
    }

    fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
