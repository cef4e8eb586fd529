//! Pruning against PostgreSQL with a clock that is moved.

use std::sync::Arc;

use domain::clock::ManualClock;
use platform::config::FromEnvironment;

use super::*;
use crate::tests::database::TestDatabase;

const RECORDS: &str = "
    INSERT INTO outbox_messages
        (event_id, kind, ordering_key, payload, destination_kind, destination, created_at, published_at)
    VALUES (gen_random_uuid(), 'probe.happened', 'a', '{}', 'queue', 'domain-events', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
           (gen_random_uuid(), 'probe.happened', 'b', '{}', 'queue', 'domain-events', '2026-01-01T00:00:00Z', NULL);
    INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at)
    VALUES ('probe', '1', 'probe.happened', '2026-01-01T00:00:00Z', '{}', '2026-01-01T00:00:00Z');";

fn in_time() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}

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
        ..Report::default()
    };
    clock.advance(PUBLISHED_RETENTION);
    assert_eq!(pruning.run(in_time()).await.unwrap(), report(0, 0));
    clock.advance(TimeDelta::microseconds(1));
    assert_eq!(pruning.run(in_time()).await.unwrap(), report(1, 0));
    clock.advance(INBOX_RETENTION);
    assert_eq!(pruning.run(in_time()).await.unwrap(), report(0, 1));
    clock.advance(TimeDelta::days(1_000));
    assert_eq!(
        pruning.run(in_time()).await.unwrap(),
        report(0, 0),
        "a message that isn't published stays"
    );
}

/// More than one statement deletes.
const MANY_RECORDS: &str = "
    INSERT INTO outbox_messages
        (event_id, kind, ordering_key, payload, destination_kind, destination, created_at, published_at)
    SELECT gen_random_uuid(), 'probe.happened', 'a', '{}', 'queue', 'domain-events', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'
      FROM generate_series(1, 25000);
    INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at)
    SELECT 'probe', n::TEXT, 'probe.happened', '2026-01-01T00:00:00Z', '{}', '2026-01-01T00:00:00Z'
      FROM generate_series(1, 10001) AS n;";

#[tokio::test]
async fn all_records_that_are_old_enough_are_deleted_while_there_is_time() {
    let database = TestDatabase::start().await;
    let mut connection = database.connection().await;
    sqlx::raw_sql(MANY_RECORDS)
        .execute(&mut connection)
        .await
        .unwrap();
    let pruning = Pruning {
        clock: Arc::new(ManualClock::new("2026-12-01T00:00:00Z".parse().unwrap())).into(),
        ..Pruning::read(&mut database.environment()).unwrap()
    };
    let late = Deadline::after(Duration::ZERO);
    let report = |outbox_messages, inbox_events, unfinished| Report {
        outbox_messages,
        inbox_events,
        unfinished,
        ..Report::default()
    };
    assert_eq!(pruning.run(late).await.unwrap(), report(10_000, 10_000, true));
    assert_eq!(pruning.run(late).await.unwrap(), report(10_000, 1, true));
    assert_eq!(pruning.run(late).await.unwrap(), report(5_000, 0, false));
    sqlx::raw_sql(MANY_RECORDS)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        pruning.run(in_time()).await.unwrap(),
        report(25_000, 10_001, false)
    );
}

/// Two hours of an account: equities of 5, 9, 1, 4 and 7, and 3 alone.
const EQUITIES: &str = "
    INSERT INTO funded_equity_history (funded_account_id, at, balance_cents, equity_cents, peak_cents, drawdown)
    VALUES (1, '2026-01-05T10:00:00Z', 5, 5, 9, 0), (1, '2026-01-05T10:01:00Z', 5, 9, 9, 0),
           (1, '2026-01-05T10:02:00Z', 5, 1, 9, 0), (1, '2026-01-05T10:03:00Z', 5, 4, 9, 0),
           (1, '2026-01-05T10:04:00Z', 5, 7, 9, 0), (1, '2026-01-05T11:00:00Z', 3, 3, 9, 0);";

/// An hour three days later: 6, 8 and 2.
const MISSED: &str = "
    INSERT INTO funded_equity_history (funded_account_id, at, balance_cents, equity_cents, peak_cents, drawdown)
    VALUES (1, '2026-01-08T10:00:00Z', 5, 6, 9, 0), (1, '2026-01-08T10:01:00Z', 5, 8, 9, 0),
           (1, '2026-01-08T10:02:00Z', 5, 2, 9, 0);";

#[tokio::test]
async fn an_equity_history_gets_its_partitions_and_keeps_an_hours_extremes() {
    let database = TestDatabase::start().await;
    let mut connection = database.connection().await;
    sqlx::raw_sql(EQUITIES).execute(&mut connection).await.unwrap();
    let clock = Arc::new(ManualClock::new("2026-01-31T23:00:00Z".parse().unwrap()));
    let pruning = Pruning {
        clock: Arc::clone(&clock).into(),
        ..Pruning::read(&mut database.environment()).unwrap()
    };
    let partitions = "SELECT string_agg(inhrelid::REGCLASS::TEXT, ' ' ORDER BY inhrelid::REGCLASS::TEXT) FROM pg_inherits \
                      WHERE inhparent = 'funded_equity_history'::REGCLASS";
    let equities = "SELECT string_agg(equity_cents::TEXT, ' ' ORDER BY at) FROM funded_equity_history";
    for _ in 0..2 {
        assert_eq!(pruning.run(in_time()).await.unwrap().equity_minutes, 0);
        let found: String = sqlx::query_scalar(partitions)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(
            found,
            "funded_equity_history_2026_01 funded_equity_history_2026_02 funded_equity_history_other"
        );
    }
    let by_time = "SELECT count(*) FROM pg_indexes WHERE tablename IN ('funded_equity_history_2026_01', \
                   'funded_equity_history_2026_02') AND indexdef LIKE '%USING brin (at)%'";
    let indexed: i64 = sqlx::query_scalar(by_time)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(indexed, 2, "each finds the rows of a time");
    let other = "SELECT count(*) FROM funded_equity_history_other";
    let left: i64 = sqlx::query_scalar(other)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(left, 0, "what came before its partition has moved");
    clock.set("2026-04-05T10:59:59Z".parse().unwrap());
    assert_eq!(
        pruning.run(in_time()).await.unwrap().equity_minutes,
        0,
        "its hour isn't over"
    );
    clock.set("2026-04-05T11:00:00Z".parse().unwrap());
    assert_eq!(pruning.run(in_time()).await.unwrap().equity_minutes, 3);
    let kept: String = sqlx::query_scalar(equities)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, "9 1 3");
    // No run for a week: what was due meanwhile is made up for, two days at a time.
    sqlx::raw_sql(MISSED).execute(&mut connection).await.unwrap();
    clock.set("2026-04-12T11:00:00Z".parse().unwrap());
    let mut thinned = Vec::new();
    for _ in 0..4 {
        thinned.push(pruning.run(in_time()).await.unwrap().equity_minutes);
    }
    assert_eq!(thinned, [0, 1, 0, 0]);
    let kept: String = sqlx::query_scalar(equities)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, "9 1 3 8 2");
}
