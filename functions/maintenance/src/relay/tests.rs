//! The relay against PostgreSQL and a Kafka broker, with a clock that is moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::clock::ManualClock;
use local_cloud::backends::{Kafka, TopicSpec};
use platform::config::FromEnvironment;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message as _};
use sqlx::AssertSqlSafe;

use super::*;
use crate::tests::database::TestDatabase;

const TOPIC: &str = "probe.events";

struct Bench {
    relay: Relay,
    clock: Arc<ManualClock>,
    database: TestDatabase,
    kafka: Kafka,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::start().await;
        let topic = TopicSpec {
            name: TOPIC.to_owned(),
            partitions: 3,
        };
        let kafka = Kafka::start(&[topic]).await.unwrap();
        // Behind the database's: what was never tried is due all the same.
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        let relay = Relay {
            clock: Arc::clone(&clock).into(),
            ..Relay::read(&mut database.environment_with(kafka.brokers())).unwrap()
        };
        Self {
            relay,
            clock,
            database,
            kafka,
        }
    }

    async fn execute(&self, sql: &str) {
        let mut connection = self.database.connection().await;
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        sql.execute(&mut connection).await.unwrap();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let mut connection = self.database.connection().await;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    /// Messages of these keys, in this order, each with its place as its data.
    async fn write(&self, destination: (&str, &str), keys: &str) {
        let (kind, name) = destination;
        self.execute(&format!(
            "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
             SELECT gen_random_uuid(), 'probe.happened', key, jsonb_build_object('place', place), '{kind}', '{name}' \
             FROM ({keys}) AS event (key, place) ORDER BY place",
        ))
        .await;
    }

    async fn run(&self) -> Report {
        let report = self.relay.run(Deadline::after(Duration::from_secs(60))).await;
        report.unwrap()
    }

    /// The places of each key's messages as the topic has them.
    async fn on_the_topic(&self) -> BTreeMap<String, Vec<i64>> {
        let brokers = self.kafka.brokers().to_owned();
        tokio::task::spawn_blocking(move || read_topic(&brokers))
            .await
            .unwrap()
    }
}

fn read_topic(brokers: &str) -> BTreeMap<String, Vec<i64>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut partitions = rdkafka::TopicPartitionList::new();
    for partition in 0..3 {
        partitions
            .add_partition_offset(TOPIC, partition, rdkafka::Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let mut by_key: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut ended = 0;
    while ended < 3 {
        match consumer.poll(Duration::from_secs(10)).unwrap() {
            Ok(message) => {
                let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
                let event: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
                by_key
                    .entry(key)
                    .or_default()
                    .push(event["place"].as_i64().unwrap());
            }
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    by_key
}

/// A message whose event can't be read: its source isn't there.
const POISON: &str = "INSERT INTO outbox_messages (event_id, kind, ordering_key, source, source_id, destination_kind, destination) \
                      VALUES (gen_random_uuid(), 'probe.happened', 'poisoned', 'nothing_there', 1, 'topic', 'probe.events')";

#[tokio::test]
async fn run_publishes_thousands_of_messages_in_the_order_of_their_keys() {
    let bench = Bench::new().await;
    bench
        .write(
            ("topic", TOPIC),
            "SELECT 'key-' || place % 7, place FROM generate_series(1, 3500) AS place",
        )
        .await;
    bench
        .write(
            ("topic", TOPIC),
            "SELECT 'single', place FROM generate_series(1, 2500) AS place",
        )
        .await;
    let report = bench.run().await;
    assert_eq!((report.published, report.failed), (6000, 0));
    let topic = bench.on_the_topic().await;
    assert_eq!(topic.len(), 8);
    assert_eq!(topic["single"], (1..=2500).collect::<Vec<i64>>());
    assert!(topic.values().all(|places| places.is_sorted()), "{topic:?}");
    assert_eq!(topic.values().map(Vec::len).sum::<usize>(), 6000);
}

#[tokio::test]
async fn refused_message_holds_up_its_own_key_alone_and_goes_first_when_it_is_mended() {
    let bench = Bench::new().await;
    bench.execute(POISON).await;
    bench
        .write(
            ("topic", TOPIC),
            "SELECT 'poisoned', place FROM generate_series(2, 2500) AS place",
        )
        .await;
    bench
        .write(
            ("topic", TOPIC),
            "SELECT 'healthy', place FROM generate_series(1, 1500) AS place",
        )
        .await;
    let report = bench.run().await;
    assert_eq!((report.published, report.failed), (1500, 1));
    bench
        .write(
            ("topic", TOPIC),
            "SELECT 'poisoned', place FROM generate_series(2501, 2600) AS place",
        )
        .await;
    assert_eq!(
        bench.run().await,
        Report::default(),
        "it isn't tried before its time"
    );
    assert_eq!(
        bench
            .number("SELECT count(*) FROM outbox_messages WHERE held")
            .await,
        2600
    );

    bench
        .execute(
            "UPDATE outbox_messages SET source = NULL, source_id = NULL, payload = '{\"place\": 1}' \
             WHERE source IS NOT NULL",
        )
        .await;
    bench.clock.advance(TimeDelta::seconds(2));
    assert_eq!(bench.run().await.published, 2600);
    let topic = bench.on_the_topic().await;
    assert_eq!(topic["poisoned"], (1..=2600).collect::<Vec<i64>>());
    assert_eq!(topic["healthy"].len(), 1500);
    assert_eq!(bench.number("SELECT count(*) FROM outbox_held_keys").await, 0);
}

#[tokio::test]
async fn held_key_whose_messages_were_deleted_is_held_no_more() {
    let bench = Bench::new().await;
    bench.execute(POISON).await;
    assert_eq!(bench.run().await.failed, 1);
    bench.execute("DELETE FROM outbox_messages").await;
    bench.clock.advance(TimeDelta::seconds(2));
    assert_eq!(bench.run().await, Report::default());
    assert_eq!(bench.number("SELECT count(*) FROM outbox_held_keys").await, 0);
}

#[tokio::test]
async fn topic_that_takes_nothing_holds_up_no_other_topic() {
    let bench = Bench::new().await;
    let flood = "SELECT 'key-' || place, place FROM generate_series(1, 1500) AS place";
    bench.write(("topic", "not a topic"), flood).await;
    bench.write(("topic", TOPIC), flood).await;
    let report = bench.run().await;
    assert_eq!((report.published, report.failed), (1500, 1000));
    assert_eq!(bench.on_the_topic().await.len(), 1500);
    assert_eq!(
        bench
            .number("SELECT count(*) FROM outbox_held_destinations")
            .await,
        1
    );
}

#[tokio::test]
async fn refused_message_waits_twice_as_long_after_each_attempt_up_to_a_minute() {
    let bench = Bench::new().await;
    bench.execute(POISON).await;
    assert_eq!(bench.run().await.failed, 1);
    for wait in [2, 4, 8, 16, 32, 60, 60] {
        let wait = TimeDelta::seconds(wait);
        bench.clock.advance(wait - TimeDelta::microseconds(1));
        assert_eq!(bench.run().await.failed, 0, "{wait}");
        bench.clock.advance(TimeDelta::microseconds(1));
        assert_eq!(bench.run().await.failed, 1, "{wait}");
    }
}

#[tokio::test]
async fn destination_out_of_reach_is_tried_with_a_chunk_at_growing_distances_while_others_go_on() {
    let bench = Bench::new().await;
    let flood = "SELECT 'key-' || place, place FROM generate_series(1, 5000) AS place";
    bench.write(("queue", "nobodys"), flood).await;
    bench.write(("topic", TOPIC), flood).await;
    let report = bench.run().await;
    assert_eq!(
        (report.published, report.failed),
        (5000, 1000),
        "one chunk was tried"
    );
    for wait in [2, 4, 8] {
        assert_eq!(
            bench.run().await,
            Report::default(),
            "it isn't tried before its time"
        );
        bench.clock.advance(TimeDelta::seconds(wait));
        assert_eq!(bench.run().await.failed, 1000);
    }
    assert_eq!(
        bench
            .number("SELECT count(*) FROM outbox_messages WHERE held")
            .await,
        0
    );
}

#[tokio::test]
async fn dead_broker_holds_up_no_other_destination_and_loses_nothing() {
    let bench = Bench::new().await;
    let dead = Relay::read(&mut bench.database.environment()).unwrap();
    let flood = "SELECT 'key-' || place, place FROM generate_series(1, 1200) AS place";
    bench.write(("topic", TOPIC), flood).await;
    let report = dead.run(Deadline::after(Duration::from_secs(60))).await.unwrap();
    assert_eq!((report.published, report.failed), (0, 1000));
    bench.execute("DELETE FROM outbox_held_destinations").await;
    assert_eq!(bench.run().await.published, 1200);
    assert_eq!(bench.on_the_topic().await.len(), 1200);
}

#[tokio::test]
async fn message_is_read_from_the_row_that_its_source_names() {
    let bench = Bench::new().await;
    bench
        .execute(
            "CREATE VIEW probe_source AS SELECT id, jsonb_build_object('place', id) AS payload \
             FROM generate_series(1, 3) AS id; \
             INSERT INTO outbox_messages \
                (event_id, kind, ordering_key, source, source_id, destination_kind, destination) \
             SELECT gen_random_uuid(), 'probe.happened', 'of-source', 'probe_source', id, 'topic', 'probe.events' \
             FROM generate_series(1, 3) AS id",
        )
        .await;
    assert_eq!(bench.run().await.published, 3);
    assert_eq!(bench.on_the_topic().await["of-source"], [1, 2, 3]);
}

#[tokio::test]
async fn message_is_read_by_both_numbers_where_its_source_has_two() {
    let bench = Bench::new().await;
    bench
        .execute(
            "CREATE VIEW probe_source AS SELECT key, id, jsonb_build_object('place', 10 * key + id) AS payload \
             FROM generate_series(1, 2) AS key, generate_series(1, 2) AS id; \
             INSERT INTO outbox_messages \
                (event_id, kind, ordering_key, source, source_key, source_id, destination_kind, destination) \
             VALUES (gen_random_uuid(), 'probe.happened', 'of-source', 'probe_source', 1, 2, 'topic', 'probe.events'), \
                    (gen_random_uuid(), 'probe.happened', 'of-source', 'probe_source', 2, 1, 'topic', 'probe.events')",
        )
        .await;
    assert_eq!(bench.run().await.published, 2);
    assert_eq!(bench.on_the_topic().await["of-source"], [12, 21]);
}

#[tokio::test]
async fn message_committed_after_younger_ones_were_published_is_published_too() {
    let bench = Bench::new().await;
    let mut late = bench.database.connection().await;
    let insert = "BEGIN; INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
                  VALUES (gen_random_uuid(), 'probe.happened', 'late', '{\"place\": 1}', 'topic', 'probe.events')";
    sqlx::raw_sql(insert).execute(&mut late).await.unwrap();
    bench
        .write(
            ("topic", TOPIC),
            "SELECT 'early', place FROM generate_series(1, 10) AS place",
        )
        .await;
    assert_eq!(bench.run().await.published, 10);
    sqlx::raw_sql("COMMIT").execute(&mut late).await.unwrap();
    assert_eq!(bench.run().await.published, 1);
}

#[tokio::test]
async fn run_whose_time_is_over_leaves_the_rest_to_the_run_that_it_wakes() {
    let bench = Bench::new().await;
    bench.write(("topic", TOPIC), "SELECT 'key', 1").await;
    let report = bench
        .relay
        .run(Deadline::after(Duration::from_secs(10)))
        .await
        .unwrap();
    assert_eq!((report.published, report.unfinished), (0, true));
    assert_eq!(bench.run().await.published, 1);
}

#[tokio::test]
async fn second_relay_leaves_a_destination_to_the_first_and_takes_the_others() {
    let bench = Bench::new().await;
    bench.write(("topic", TOPIC), "SELECT 'key', 1").await;
    bench.write(("queue", "nobodys"), "SELECT 'key', 1").await;
    let mut first = bench.database.connection().await;
    let topic = destination::Destination {
        kind: "topic".to_owned(),
        name: TOPIC.to_owned(),
    };
    assert!(store::lock(&mut first, &topic).await.unwrap());
    let report = bench.run().await;
    assert!(report.left_to_another);
    assert_eq!(
        (report.published, report.failed),
        (0, 1),
        "only the queue was tried"
    );
    drop(first);
    bench.clock.advance(TimeDelta::seconds(2));
    while bench.run().await.published == 0 {}
}

#[tokio::test]
async fn every_node_is_published_and_one_out_of_reach_holds_up_no_other() {
    let bench = Bench::new().await;
    let further = TestDatabase::start().await;
    // Nobody listens there.
    let nodes = ["postgres://moneta@127.0.0.1:9/moneta", further.url()];
    let relay = Relay::read(&mut bench.database.environment_of(bench.kafka.brokers(), &nodes)).unwrap();
    bench
        .write(("topic", TOPIC), "VALUES ('own', 1), ('own', 2)")
        .await;
    let at_further = "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
                      VALUES (gen_random_uuid(), 'probe.happened', 'further', '{\"place\": 1}', 'topic', 'probe.events')";
    sqlx::raw_sql(at_further)
        .execute(&mut further.connection().await)
        .await
        .unwrap();
    let report = relay.run(Deadline::after(Duration::from_secs(60))).await.unwrap();
    assert_eq!(
        (report.published, report.failed, report.nodes_out_of_reach),
        (3, 0, 1)
    );
    let topic = bench.on_the_topic().await;
    assert_eq!(topic.get("own"), Some(&vec![1, 2]));
    assert_eq!(topic.get("further"), Some(&vec![1]));
}
