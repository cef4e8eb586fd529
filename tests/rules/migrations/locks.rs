//! The newest migrations over large tables, while somebody keeps writing to them: how long he waits at most.

use std::path::Path;
use std::time::{Duration, Instant};

use end_to_end::is_soak;
use local_cloud::backends::Postgres;
use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::watch;

use crate::{migrations, number_of};

/// The newest migration of the release that was before; the later ones are measured.
const NEWEST_OF_RELEASE_BEFORE: i64 = 47;
/// Nobody waits for a migration for as long.
const LIMIT: Duration = Duration::from_secs(1);

/// The tables that grow, with rows of theirs from 1 to a number.
const LARGE: [(&str, &str); 7] = [
    (
        "trading_money_flow",
        "INSERT INTO trading_money_flow (profile_id, trading_account_id, bank_account_id, amount_cents, currency, status, \
         settled_at) SELECT n % 1000, n % 1000, n % 1000, 100, 'USD', 'success', now() FROM generate_series(1, $1) AS n",
    ),
    (
        "drivewealth_deposits",
        "INSERT INTO drivewealth_deposits (ref_id, money_flow_id, amount_cents, currency, status_code, status_updated_at, \
         finality) SELECT 'd' || n, n, 100, 'USD', 2, now(), 1 FROM generate_series(1, $1) AS n",
    ),
    (
        "inbox_events",
        "INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload) \
         SELECT 'drivewealth', 'e' || n, 'deposits.updated', now(), '{\"a\": 1}' FROM generate_series(1, $1) AS n",
    ),
    (
        "outbox_messages",
        "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination, published_at) \
         SELECT gen_random_uuid(), 'money-flow.succeeded', n::TEXT, '{\"a\": 1}', 'topic', 'trading.events', now() \
         FROM generate_series(1, $1) AS n",
    ),
    (
        "invoices",
        "INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end) \
         SELECT n, 100, 'USD', now(), 'Commission', '2026-10-01', '2026-10-31' FROM generate_series(1, $1) AS n",
    ),
    (
        "trading_account_balances",
        "INSERT INTO trading_account_balances (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of) \
         SELECT n, '2026-11-20', 100, 100, 'USD', now() FROM generate_series(1, $1) AS n",
    ),
    (
        "trading_collection_versions",
        "INSERT INTO trading_collection_versions (profile_id, trading_account_id, collection_id, collection_uniq_id, status, \
         has_weights, applies_at, settled_at, created_at, updated_at) \
         SELECT n % 1000, n % 1000, 1, 'ttf', 'complete', true, now(), now(), now(), now() FROM generate_series(1, $1) AS n",
    ),
];

/// One statement over each of them, as a function would write it.
const WRITES: [&str; 7] = [
    "UPDATE trading_money_flow SET updated_at = now() WHERE id = 7",
    "UPDATE drivewealth_deposits SET updated_at = now() WHERE ref_id = 'd7'",
    "UPDATE inbox_events SET received_at = received_at WHERE source = 'drivewealth' AND event_id = 'e7'",
    "UPDATE outbox_messages SET attempts = attempts WHERE id = 7",
    "UPDATE invoices SET failed_attempts = failed_attempts WHERE id = 7",
    "UPDATE trading_account_balances SET as_of = as_of WHERE trading_account_id = 7 AND business_date = '2026-11-20'",
    "UPDATE trading_collection_versions SET updated_at = now() WHERE id = 7",
];

/// Writes until it is told to stop; gives the longest that a statement took, and how many there were.
async fn write(url: String, stop: watch::Receiver<bool>) -> (Duration, u32) {
    let mut connection = PgConnection::connect(&url).await.expect("PostgreSQL answers");
    let (mut longest, mut count) = (Duration::ZERO, 0);
    while !*stop.borrow() {
        for sql in WRITES {
            let begun = Instant::now();
            connection
                .execute(sql)
                .await
                .expect("the code of before can write");
            longest = longest.max(begun.elapsed());
            count += 1;
        }
    }
    (longest, count)
}

/// The longest wait of a writer while something is done.
async fn longest_wait(postgres: &Postgres, work: impl Future<Output = ()>) -> (Duration, u32) {
    let (stop, stopped) = watch::channel(false);
    let writer = tokio::spawn(write(postgres.url().to_owned(), stopped));
    // It writes before, too.
    tokio::time::sleep(Duration::from_millis(300)).await;
    work.await;
    stop.send_replace(true);
    writer.await.expect("the writer comes to its end")
}

fn copy(to: &Path, fits: impl Fn(i64) -> bool) {
    for (number, path) in migrations() {
        if fits(number) {
            let name = path.file_name().expect("a file has a name");
            std::fs::copy(&path, to.join(name)).expect("a migration can be copied");
        }
    }
}

/// Rows whose own references aren't there, and of which nothing follows.
async fn fill(postgres: &Postgres, rows: i64) {
    let connected = PgConnection::connect(postgres.superuser_url()).await;
    let mut superuser = connected.expect("PostgreSQL answers");
    let alone = superuser.execute("SET session_replication_role = replica").await;
    alone.expect("a superuser may");
    for (table, fill) in LARGE {
        let filled = sqlx::query(fill).bind(rows).execute(&mut superuser).await;
        let filled = filled
            .unwrap_or_else(|error| panic!("{table}: {error}"))
            .rows_affected();
        assert_eq!(filled, u64::try_from(rows).unwrap_or_default(), "{table}");
    }
    superuser
        .execute("VACUUM ANALYZE")
        .await
        .expect("a superuser may");
    superuser.close().await.expect("the session ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_since_the_release_before_hold_no_large_table_for_a_second() {
    let rows: i64 = if is_soak() { 1_000_000 } else { 50_000 };
    let (state, before) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    copy(before.path(), |number| number <= NEWEST_OF_RELEASE_BEFORE);
    let postgres = Postgres::start(state.path()).await.expect("PostgreSQL starts");
    let mut owner = PgConnection::connect(postgres.url())
        .await
        .expect("PostgreSQL answers");
    let old = Migrator::new(before.path())
        .await
        .expect("the migrations are read");
    old.run(&mut owner).await.expect("the schema of before is made");
    fill(&postgres, rows).await;
    let new = Migrator::new(crate::folder())
        .await
        .expect("the migrations are read");
    let newest = migrations()
        .last()
        .map(|(_, path)| number_of(path))
        .unwrap_or_default();
    let begun = Instant::now();
    let (longest, count) = longest_wait(&postgres, async {
        new.run(&mut owner)
            .await
            .expect("the migrations fit the schema of before");
    })
    .await;
    let took = begun.elapsed();
    println!(
        "migrations {} to {newest} over {rows} rows a table took {} ms; the longest of {count} writes meanwhile {} ms",
        NEWEST_OF_RELEASE_BEFORE + 1,
        took.as_millis(),
        longest.as_millis()
    );
    assert!(longest < LIMIT, "somebody waited {} ms", longest.as_millis());
    // What does hold a table is seen.
    let held = "BEGIN; LOCK TABLE invoices; SELECT pg_sleep(1.1); COMMIT";
    let (longest, _) = longest_wait(&postgres, async {
        owner.execute(sqlx::raw_sql(held)).await.expect("the owner may");
    })
    .await;
    assert!(
        longest >= LIMIT,
        "a lock of 1.1 s was not seen: {} ms",
        longest.as_millis()
    );
    owner.close().await.expect("the session ends");
    postgres.stop().await.expect("PostgreSQL stops");
}
