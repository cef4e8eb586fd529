//! A run beside payments that are just written, and a run whose time is up; against PostgreSQL.

use local_cloud::backends::TestDatabase;
use platform::config::{Environment, FromEnvironment};
use sqlx::Connection;

use super::*;

/// A reconciliation of a database of its own.
struct Bench {
    database: TestDatabase,
    reconciler: Reconciler,
}

impl Bench {
    /// With so many clients, each with a wallet in dollars; their ids are 1, 2, 3 and so on.
    async fn with_clients(clients: i32) -> Self {
        let database = TestDatabase::start().await.unwrap();
        let mut connection = database.connection().await.unwrap();
        for statement in [
            "INSERT INTO clients (client_id, created_at) SELECT n, '2020-01-01' FROM generate_series(1, $1) AS n",
            "INSERT INTO wallets (client_id, id, currency, created_at) SELECT n, n, 840, '2020-01-01' FROM generate_series(1, $1) AS n",
        ] {
            sqlx::query(statement)
                .bind(clients)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        // Nobody listens to wake-ups here.
        let variables = [
            ("DATABASE_URL", database.url()),
            ("QUEUE_OUTBOX_NUDGES_URL", "http://127.0.0.1:9/outbox-nudges"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            reconciler: Reconciler::read(&mut Environment::of(variables)).unwrap(),
            database,
        }
    }

    async fn connect(&self) -> PgConnection {
        self.database.connection().await.unwrap()
    }

    async fn run(&self, time: Duration) -> Report {
        self.reconciler
            .run(Deadline::after(CLOSING_TIME + time))
            .await
            .unwrap()
    }
}

async fn execute(connection: &mut PgConnection, statements: &'static str) {
    sqlx::raw_sql(statements).execute(connection).await.unwrap();
}

/// Waits until a statement of somebody else waits for a lock of this kind.
async fn somebody_waits(connection: &mut PgConnection, locktype: &str) {
    let waiting = "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) \
                    WHERE datname = current_database() AND locktype = $1 AND NOT granted)";
    loop {
        let waiting = sqlx::query_scalar::<_, bool>(waiting).bind(locktype);
        if waiting.fetch_one(&mut *connection).await.unwrap() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Of three transfers from client 1, one has both sides, one gets its other side during the run, and one never does.
const PAID: &str = "
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at, correlation_id)
    VALUES (1, 101, md5('recharge')::UUID, 1, 2, 1, 840, 100, 0, 0, 840, -100, 1, 1, 100, now(), now(), NULL),
           (1, 201, md5('whole')::UUID, 3, 2, 1, 840, -10, 2, 2, 840, 10, 1, 2, 90, now(), now(), 'x'),
           (2, 202, md5('whole')::UUID, 3, 2, 2, 840, 10, 1, 1, 840, -10, 1, 1, 10, now(), now(), 'x'),
           (1, 203, md5('late')::UUID, 3, 2, 1, 840, -10, 2, 2, 840, 10, 1, 3, 80, now(), now(), 'x'),
           (1, 205, md5('never')::UUID, 3, 2, 1, 840, -10, 2, 2, 840, 10, 1, 4, 70, now(), now(), 'x');
    UPDATE wallets SET balance = 70, entries = 4 WHERE client_id = 1;
    UPDATE wallets SET balance = 10, entries = 1 WHERE client_id = 2;";
const OTHER_SIDE: &str = "
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at, correlation_id)
    VALUES (2, 204, md5('late')::UUID, 3, 2, 2, 840, 10, 1, 1, 840, -10, 1, 2, 20, now(), now(), 'x');
    UPDATE wallets SET balance = 20, entries = 2 WHERE client_id = 2;";
/// Whoever looks at the sides of a transfer waits within its statement, which has begun before.
const LOOKS_WAIT: &str = "
    CREATE OR REPLACE FUNCTION conversion_is_right(
        paid BIGINT, received BIGINT, rate NUMERIC, payer_exponent SMALLINT, receiver_exponent SMALLINT, before_0027 BOOLEAN
    ) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM pg_advisory_lock(4711);
        PERFORM pg_advisory_unlock(4711);
        RETURN TRUE;
    END
    $$;";

#[tokio::test]
async fn one_sided_transfer_is_told_when_a_second_look_sees_it_too() {
    let bench = Bench::with_clients(3).await;
    let mut connection = bench.connect().await;
    execute(&mut connection, PAID).await;
    execute(&mut connection, LOOKS_WAIT).await;
    execute(&mut connection, "SELECT pg_advisory_lock(4711)").await;
    let mut writer = bench.connect().await;
    let write_meanwhile = async {
        somebody_waits(&mut writer, "advisory").await;
        execute(&mut writer, OTHER_SIDE).await;
        execute(&mut connection, "SELECT pg_advisory_unlock(4711)").await;
    };
    let (report, ()) = tokio::join!(bench.run(Duration::from_mins(1)), write_meanwhile);
    assert_eq!(
        (report.differences, report.new_differences, report.failed.len()),
        (1, 1, 0)
    );
    let found = sqlx::query_as::<_, (i64, i64, String)>(
        "SELECT client_id, payment_id, kind FROM wallet_differences ORDER BY id",
    );
    let found = found.fetch_all(&mut connection).await.unwrap();
    assert_eq!(found, [(1, 205, "one-sided".to_owned())]);
}

#[tokio::test]
async fn run_whose_time_is_up_is_taken_up_where_it_stopped() {
    // One group and a part of another.
    let bench = Bench::with_clients(600).await;
    let mut connection = bench.connect().await;
    let mut report = Vec::new();
    for _ in 0..2 {
        // The first group can't be recorded before the time is up.
        let mut transaction = connection.begin().await.unwrap();
        execute(&mut transaction, "LOCK TABLE wallet_checkpoints IN SHARE MODE").await;
        let deadline = Deadline::after(CLOSING_TIME + Duration::from_secs(3));
        let hold = async {
            tokio::time::sleep_until(deadline.earlier_by(CLOSING_TIME).instant()).await;
            transaction.rollback().await.unwrap();
        };
        let (run, ()) = tokio::join!(bench.reconciler.run(deadline), hold);
        let run = run.unwrap();
        report.push((run.clients, run.clients_left));
    }
    assert_eq!(
        report,
        [(500, 100), (100, 500)],
        "the second begins with those that the first hadn't time for"
    );
    let whole = bench.run(Duration::from_mins(1)).await;
    assert_eq!((whole.clients, whole.clients_left), (600, 0));
    let cursor = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM reconciliation_cursor");
    assert_eq!(
        cursor.fetch_one(&mut connection).await.unwrap(),
        0,
        "the next run begins anew"
    );
}

/// A transfer on its way, from client 1, with two and a half groups of entries behind it.
const PENDING_LONG_AGO: &str = "
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at, correlation_id)
    VALUES (1, 101, md5('recharge')::UUID, 1, 2, 1, 840, 100, 0, 0, 840, -100, 1, 1, 100, now(), now(), NULL),
           (1, 103, md5('waits')::UUID, 3, 1, 1, 840, -10, 2, 2, 840, 10, 1, 2, 90, now(), now(), 'x');
    INSERT INTO transfer_orders (client_id, payment_id, receiver_slot, created_at) VALUES (1, 103, 0, now());
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at)
    SELECT 1, 1001 + 2 * n, gen_random_uuid(), 1, 2, 1, 840, 1, 0, 0, 840, -1, 1, n, 88 + n, now(), now()
      FROM generate_series(3, 25000) AS n;
    UPDATE wallets SET balance = 25088, entries = 25000 WHERE client_id = 1;";
/// It is settled, though the receiver has got nothing.
const SETTLED: &str = "
    DELETE FROM transfer_orders;
    UPDATE payments SET payment_status = 2, updated_at = now() WHERE id = 103;";

#[tokio::test]
async fn transfer_with_many_entries_behind_it_is_compared_when_it_is_settled() {
    let bench = Bench::with_clients(3).await;
    let mut connection = bench.connect().await;
    execute(&mut connection, PENDING_LONG_AGO).await;
    for _ in 0..2 {
        let report = bench.run(Duration::from_mins(1)).await;
        assert_eq!((report.differences, report.clients_left), (0, 0));
        assert!(report.pending > 0, "{report:?}");
    }
    execute(&mut connection, SETTLED).await;
    let report = bench.run(Duration::from_mins(1)).await;
    assert_eq!(
        (report.new_differences, report.pending, report.failed.len()),
        (1, 0, 0)
    );
    let found = sqlx::query_as::<_, (i64, String)>("SELECT payment_id, kind FROM wallet_differences");
    let found = found.fetch_all(&mut connection).await.unwrap();
    assert_eq!(found, [(103, "one-sided".to_owned())]);
    // All that is behind it was gone through in the same run, in groups.
    let compared = "SELECT sides_entry FROM wallet_checkpoints WHERE client_id = 1";
    let compared = sqlx::query_scalar::<_, i64>(compared).fetch_one(&mut connection);
    assert_eq!(compared.await.unwrap(), 25_000);
}
