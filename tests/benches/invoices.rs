//! Making all invoices of a month: seconds for 10,000 and 100,000 profiles with a year of daily balances, beside what the same
//! database takes at least: to read the month's balances once, and to write as many plain rows. And once more after a day on
//! which the broker gave nobody's balance, when no account has a figure for each day. `make bench`.
//!
//! The whole of `create_invoices` is one statement, so that it is the database that is measured, durable as deployed; the
//! function's binary is the one of development.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, ensure};
use local_cloud::{LocalCloud, Options};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::Instant;

const SIZES: [i64; 2] = [10_000, 100_000];
const JOB: &str = "create_invoices";
/// The month that is invoiced is the last of the year.
const FIRST_DAY: &str = "2025-01-01";
const DAYS: i64 = 365;
const MONTH: (&str, &str) = ("2025-12-01", "2025-12-31");
const MISSING_DAY: &str = "2025-12-15";
/// When only that month is due to be invoiced.
const RUN: &str = "2026-01-20T12:30:00Z";

/// One size, in seconds.
#[derive(Debug)]
struct Row {
    profiles: i64,
    first_run: f64,
    second_run: f64,
    day_missing: f64,
    read_month: f64,
    write_rows: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has a folder")?
        .to_owned();
    let mut options = Options::for_tests(&root);
    options.durable_database = true;
    options.event_sources = false;
    let cloud = LocalCloud::start(options).await?;
    let outcome = measure(&cloud).await;
    cloud.stop().await;
    for row in outcome? {
        print_row(&row);
    }
    Ok(())
}

async fn measure(cloud: &LocalCloud) -> anyhow::Result<Vec<Row>> {
    // Filling in takes longer than a function's statement may.
    let patient = PgConnectOptions::from_str(cloud.database_url())?.options([("statement_timeout", "0")]);
    let database = PgPool::connect_with(patient).await?;
    println!(
        "{:>9} {:>12} {:>12} {:>13} {:>15} {:>15}",
        "profiles", "first run", "second run", "a day missing", "read the month", "write the rows"
    );
    let mut rows = Vec::new();
    let mut there = 0;
    for profiles in SIZES {
        fill(&database, there, profiles).await?;
        there = profiles;
        forget_invoices(&database).await?;
        let first_run = invoice(cloud, profiles).await?;
        let second_run = invoice(cloud, 0).await?;
        let read_month = read_month(&database).await?;
        let write_rows = write_rows(&database, profiles).await?;
        rows.push(Row {
            profiles,
            first_run,
            second_run,
            day_missing: invoice_without_a_day(cloud, &database, profiles).await?,
            read_month,
            write_rows,
        });
    }
    Ok(rows)
}

fn print_row(row: &Row) {
    println!(
        "{:>9} {:>10.2} s {:>10.2} s {:>11.2} s {:>13.2} s {:>13.2} s",
        row.profiles, row.first_run, row.second_run, row.day_missing, row.read_month, row.write_rows
    );
}

async fn run(database: &PgPool, script: &str) -> anyhow::Result<f64> {
    let begun = Instant::now();
    sqlx::raw_sql(AssertSqlSafe(script.to_owned()))
        .execute(database)
        .await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Profiles beside those that are there, each with a year of balances between nothing and $100,000.
async fn fill(database: &PgPool, there: i64, profiles: i64) -> anyhow::Result<()> {
    println!(
        "filling in {} profiles with {DAYS} days of balances each",
        profiles - there
    );
    let first = there + 1;
    run(
        database,
        &format!(
            "DROP INDEX trading_account_balances_of_day;
             ALTER TABLE trading_account_balances DROP CONSTRAINT trading_account_balances_pkey;
             INSERT INTO profiles (id, email) SELECT id, 'p' || id || '@example.com' FROM generate_series({first}, {profiles}) AS id;
             INSERT INTO trading_accounts (id, profile_id, name, opened_at)
             SELECT id, id, 'Trading', '2024-06-01T12:00:00Z' FROM generate_series({first}, {profiles}) AS id;
             INSERT INTO trading_account_balances
             SELECT id, DATE '{FIRST_DAY}' + day, (id * 7919 + day * 104729) % 10000000, 0, 'USD', now()
             FROM generate_series(0, {DAYS} - 1) AS day CROSS JOIN generate_series({first}, {profiles}) AS id;
             ALTER TABLE trading_account_balances ADD PRIMARY KEY (trading_account_id, business_date);
             CREATE INDEX trading_account_balances_of_day ON trading_account_balances (business_date, trading_account_id)
                 INCLUDE (equity_cents);"
        ),
    )
    .await?;
    run(database, "VACUUM ANALYZE").await?;
    Ok(())
}

/// Runs the function; gives how long it took. It has to make as many invoices as there are profiles that owe something.
async fn invoice(cloud: &LocalCloud, profiles: i64) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let result = cloud
        .run_schedule(JOB, Some(json!({ "scheduled_time": RUN })))
        .await?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(result.function_error.is_none(), "{}", result.payload);
    let created = result
        .payload
        .pointer("/periods/0/created")
        .and_then(Value::as_i64);
    ensure!(
        created == Some(profiles),
        "{created:?} invoices: {}",
        result.payload
    );
    Ok(seconds)
}

async fn forget_invoices(database: &PgPool) -> anyhow::Result<f64> {
    run(database, "TRUNCATE invoices CASCADE; TRUNCATE outbox_messages").await
}

/// The first run again while no account has a balance of one day, which is put back afterwards.
async fn invoice_without_a_day(cloud: &LocalCloud, database: &PgPool, profiles: i64) -> anyhow::Result<f64> {
    forget_invoices(database).await?;
    run(
        database,
        &format!(
            "CREATE TABLE balances_of_the_day AS SELECT * FROM trading_account_balances WHERE business_date = '{MISSING_DAY}';
             DELETE FROM trading_account_balances WHERE business_date = '{MISSING_DAY}';"
        ),
    )
    .await?;
    run(database, "VACUUM ANALYZE trading_account_balances").await?;
    let seconds = invoice(cloud, profiles).await?;
    run(
        database,
        "INSERT INTO trading_account_balances SELECT * FROM balances_of_the_day; DROP TABLE balances_of_the_day",
    )
    .await?;
    Ok(seconds)
}

/// What can't be saved: each balance of the month is read once.
async fn read_month(database: &PgPool) -> anyhow::Result<f64> {
    let (first, last) = MONTH;
    run(
        database,
        &format!("SELECT sum(equity_cents) FROM trading_account_balances WHERE business_date BETWEEN '{first}' AND '{last}'"),
    )
    .await
}

/// What can't be saved: an invoice and an event each, into tables of the same columns and indexes.
async fn write_rows(database: &PgPool, profiles: i64) -> anyhow::Result<f64> {
    run(
        database,
        "DROP TABLE IF EXISTS plain_invoices, plain_events;
         CREATE TABLE plain_invoices (LIKE invoices INCLUDING ALL);
         CREATE TABLE plain_events (LIKE outbox_messages INCLUDING ALL);",
    )
    .await?;
    run(
        database,
        &format!(
            "INSERT INTO plain_invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end)
             SELECT id, 1000, 'USD', now(), 'Commission', '2025-12-01', '2025-12-31' FROM generate_series(1, {profiles}) AS id;
             INSERT INTO plain_events (event_id, kind, ordering_key, payload, destination_kind, destination)
             SELECT gen_random_uuid(), 'invoice.created', 'profile-' || id, (SELECT payload FROM outbox_messages LIMIT 1), 'topic',
                    'commissions.events' FROM generate_series(1, {profiles}) AS id;"
        ),
    )
    .await
}
