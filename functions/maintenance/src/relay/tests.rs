//! The relay against PostgreSQL with a clock that is moved. Messages go to a queue that doesn't exist, so every attempt
//! fails at once.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::clock::ManualClock;
use platform::config::FromEnvironment;

use super::*;
use crate::test_database::TestDatabase;

/// Two messages of one key, one of another; written by the database's clock.
const MESSAGES: &str = "
    INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination)
    SELECT gen_random_uuid(), 'probe.happened', key, '{}', 'queue', 'nowhere'
    FROM unnest(ARRAY['a', 'a', 'b']) AS key;";

struct Bench {
    relay: Relay,
    clock: Arc<ManualClock>,
    database: TestDatabase,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::start().await;
        let mut connection = database.connection().await;
        sqlx::raw_sql(MESSAGES).execute(&mut connection).await.unwrap();
        // Behind the database's: what was never tried is due all the same.
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        let relay = Relay {
            clock: Arc::clone(&clock).into(),
            ..Relay::read(&mut database.environment()).unwrap()
        };
        Self {
            relay,
            clock,
            database,
        }
    }

    /// The attempts that fail in a run.
    async fn failed(&self) -> usize {
        let report = self.relay.run(Deadline::after(Duration::from_secs(60))).await;
        let report = report.unwrap();
        assert_eq!((report.published, report.left_to_another), (0, false));
        report.failed
    }
}

#[tokio::test]
async fn a_failed_message_waits_twice_as_long_after_each_attempt_up_to_a_minute() {
    let bench = Bench::new().await;
    assert_eq!(bench.failed().await, 2, "the first message of each key");
    for wait in [2, 4, 8, 16, 32, 60, 60] {
        let wait = TimeDelta::seconds(wait);
        bench.clock.advance(wait - TimeDelta::microseconds(1));
        assert_eq!(bench.failed().await, 0, "{wait}");
        bench.clock.advance(TimeDelta::microseconds(1));
        assert_eq!(bench.failed().await, 2, "{wait}");
    }
    let mut connection = bench.database.connection().await;
    let attempts = sqlx::query_scalar::<_, i32>("SELECT attempts FROM outbox_messages ORDER BY id")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(attempts, [8, 0, 8], "a key's second message waits for its first");
}

#[tokio::test]
async fn a_second_relay_leaves_the_work_to_the_first() {
    let bench = Bench::new().await;
    let mut first = bench.database.connection().await;
    assert!(store::lock(&mut first).await.unwrap());
    let deadline = Deadline::after(Duration::from_secs(60));
    assert!(bench.relay.run(deadline).await.unwrap().left_to_another);
    drop(first);
    assert_eq!(bench.failed().await, 2);
}
