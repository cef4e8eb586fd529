//! Migrations of a database that holds rows of the releases before.

mod nodes;
mod rights;

use std::ops::RangeInclusive;

use local_cloud::backends::Postgres;
use platform::config::{Environment, FromEnvironment};
use serde_json::Value;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::*;

/// The migrations that carry the wallets over into tables without partitions, and those that build on these tables.
const WALLETS_ANEW: [RangeInclusive<i64>; 4] = [27..=29, 60..=61, 63..=63, 66..=67];

/// The schema with wallets as they were before; later ones of other areas may have been applied by then.
fn with_wallets_as_before() -> Migrator {
    let is_before = |version: &i64| !WALLETS_ANEW.iter().any(|anew| anew.contains(version));
    let before = store::MIGRATIONS
        .iter()
        .filter(|migration| is_before(&migration.version));
    Migrator::with_migrations(before.cloned().collect())
}

/// What the release before has written: a recharge, a withdrawal that failed, one that is pending, and, by the function of
/// that time, a transfer.
const WRITTEN_BEFORE: &str = "
    INSERT INTO clients (client_id, external_ref, created_at, reconciled_at)
    VALUES (1, 'order-1001', '2026-10-01T00:00:00Z', '2026-10-03T00:00:00Z'), (2, NULL, '2026-10-01T00:00:01Z', NULL);
    INSERT INTO client_references (external_ref, client_id) VALUES ('order-1001', 1);
    INSERT INTO wallets (client_id, id, currency, balance, entries, created_at)
    VALUES (1, 1, 840, 950, 4, '2026-10-01T00:00:00Z'), (1, 2, 978, 0, 0, '2026-10-01T00:00:00Z'),
           (2, 3, 840, 0, 0, '2026-10-01T00:00:01Z');
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, return_entry, return_balance_after, created_at, updated_at)
    VALUES (1, 1, gen_random_uuid(), 1, 2, 1, 840, 1000, 0, 0, 840, -1000, 1, 1, 1000, NULL, NULL,
            '2026-10-01T00:00:02.000001Z', '2026-10-01T00:00:02.000001Z'),
           (1, 3, gen_random_uuid(), 2, 3, 1, 840, -100, 0, 0, 840, 100, 1, 2, 900, 3, 1000,
            '2026-10-01T00:00:03Z', '2026-10-02T00:00:00Z'),
           (1, 5, gen_random_uuid(), 2, 1, 1, 840, -50, 0, 0, 840, 50, 1, 4, 950, NULL, NULL,
            '2026-10-02T00:00:01Z', '2026-10-02T00:00:01Z');
    INSERT INTO payment_requests (client_id, operation, key, request_hash, payment_id, created_at)
    VALUES (1, 1, 'recharge', decode(repeat('cd', 32), 'hex'), 1, '2026-10-01T00:00:02Z');
    INSERT INTO wallet_differences (client_id, wallet_id, payment_id, kind, expected, found, resolved_at)
    VALUES (1, 1, NULL, 'balance', '950', '949', '2026-10-04T00:00:00Z');
    SELECT setval('client_ids', 2), setval('wallet_ids', 3), setval('payment_ids', 5);
    SELECT outcome FROM transfer_between_wallets(1, 1, 2, NULL, 200, NULL, 'transfer', decode(repeat('ab', 32), 'hex'), 7,
                                                 gen_random_uuid(), gen_random_uuid(), 'cause');";

/// The transfer of before, asked for once more, at so many days from now, with this digest of the request.
async fn ask_again(connection: &mut PgConnection, days: i32, digest: &str) -> (String, i64) {
    sqlx::query_as(
        "SELECT outcome, payment_id FROM transfer_between_wallets(1, 1, 2, NULL, 200, NULL, gen_random_uuid(), $2::UUID, 7, \
         'transfer', gen_random_uuid(), 'cause', now() + make_interval(days => $1), now())",
    )
    .bind(days)
    .bind(digest)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// All rows of a table in an order of their own.
async fn rows(connection: &mut PgConnection, table: &str) -> Vec<Value> {
    let all = format!("SELECT to_jsonb(one) FROM {table} AS one ORDER BY to_jsonb(one)::TEXT");
    sqlx::query_scalar(AssertSqlSafe(all))
        .fetch_all(connection)
        .await
        .unwrap()
}

fn has_all_of(after: &Value, before: &Value) -> bool {
    let before = before.as_object().unwrap();
    before
        .iter()
        .all(|(column, value)| after.get(column) == Some(value))
}

#[tokio::test]
async fn rows_of_wallets_with_partitions_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(folder.path()).await.unwrap();
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    with_wallets_as_before().run(&mut connection).await.unwrap();
    sqlx::raw_sql(WRITTEN_BEFORE)
        .execute(&mut connection)
        .await
        .unwrap();
    let tables = [
        "clients",
        "client_references",
        "wallets",
        "payments",
        "payment_requests",
        "wallet_differences",
    ];
    let mut before = Vec::new();
    for table in tables {
        before.push(rows(&mut connection, table).await);
    }
    let counts: Vec<usize> = before.iter().map(Vec::len).collect();
    assert_eq!(counts, [2, 1, 3, 5, 2, 1]);

    let url = ("DATABASE_URL".to_owned(), postgres.url().to_owned());
    let migrations = Migrations::read(&mut Environment::of([url])).unwrap();
    let report = migrations.apply().await.unwrap();
    assert!(report.migrations > 0 && report.version > 0);

    for (table, before) in tables.into_iter().zip(before) {
        let after = rows(&mut connection, table).await;
        assert_eq!(after.len(), before.len(), "{table}");
        for row in &before {
            assert!(
                after.iter().any(|after| has_all_of(after, row)),
                "{table} lacks {row}"
            );
        }
    }
    let moved: bool = sqlx::query_scalar(
        "SELECT bool_and(moved_at = (SELECT payment.created_at FROM payments AS payment \
                                      WHERE payment.client_id = wallet.client_id AND payment.payment_type = 3)) \
           FROM wallets AS wallet WHERE wallet.currency = 840",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(moved, "the newest entry's time");
    let changed = sqlx::raw_sql("UPDATE payments SET amount = 1 WHERE id = 1");
    assert!(changed.execute(&mut connection).await.is_err(), "payments stay");
    let deleted = sqlx::raw_sql("DELETE FROM payments WHERE id = 1");
    assert!(
        deleted.execute(&mut connection).await.is_err(),
        "payments are kept"
    );
}

#[tokio::test]
async fn a_key_from_before_callers_were_kept_counts_for_thirty_days() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(folder.path()).await.unwrap();
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    with_wallets_as_before().run(&mut connection).await.unwrap();
    sqlx::raw_sql(WRITTEN_BEFORE)
        .execute(&mut connection)
        .await
        .unwrap();
    store::apply(&mut connection).await.unwrap();
    let same = "ab".repeat(16);
    let (outcome, payment) = ask_again(&mut connection, 29, &same).await;
    assert_eq!((outcome.as_str(), payment), ("replayed", 7));
    let (outcome, payment) = ask_again(&mut connection, 29, &"cd".repeat(16)).await;
    assert_eq!(outcome, "done", "another request isn't of that key");
    assert!(payment > 7);
    let (outcome, _) = ask_again(&mut connection, 31, &same).await;
    assert_eq!(outcome, "done", "the key has had its time");
    let book: (i64, i64) =
        sqlx::query_as("SELECT balance, entries FROM wallets WHERE client_id = 1 AND id = 1")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(book, (350, 7), "entries go on from those of before");
}
