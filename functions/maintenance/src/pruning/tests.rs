//! Pruning against PostgreSQL with a clock that is moved.

use std::sync::Arc;

use domain::clock::ManualClock;
use platform::config::FromEnvironment;

use super::*;
use crate::test_database::TestDatabase;

const RECORDS: &str = "
    INSERT INTO outbox_messages
        (event_id, kind, ordering_key, payload, destination_kind, destination, created_at, published_at)
    VALUES (gen_random_uuid(), 'probe.happened', 'a', '{}', 'queue', 'domain-events', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
           (gen_random_uuid(), 'probe.happened', 'b', '{}', 'queue', 'domain-events', '2026-01-01T00:00:00Z', NULL);
    INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at)
    VALUES ('probe', '1', 'probe.happened', '2026-01-01T00:00:00Z', '{}', '2026-01-01T00:00:00Z');";

#[tokio::test]
async fn a_record_is_deleted_when_its_retention_is_over() {
    let database = TestDatabase::start().await;
    let mut connection = database.connection().await;
    sqlx::raw_sql(RECORDS).execute(&mut connection).await.unwrap();
    let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
    let pruning = Pruning {
        clock: Arc::clone(&clock).into(),
        ..Pruning::read(&mut database.environment()).unwrap()
    };
    let report = |outbox_messages, inbox_events| Report {
        outbox_messages,
        inbox_events,
    };
    clock.advance(PUBLISHED_RETENTION);
    assert_eq!(pruning.run().await.unwrap(), report(0, 0));
    clock.advance(TimeDelta::microseconds(1));
    assert_eq!(pruning.run().await.unwrap(), report(1, 0));
    clock.advance(INBOX_RETENTION);
    assert_eq!(pruning.run().await.unwrap(), report(0, 1));
    clock.advance(TimeDelta::days(1_000));
    assert_eq!(
        pruning.run().await.unwrap(),
        report(0, 0),
        "a message that isn't published stays"
    );
}
