//! Transfers per second: ours, with idempotency, events and all rules, beside the bare minimum of SQL and beside a plain
//! function that locks rows, in one run on one durable PostgreSQL. `make bench`; `functions/wallets/PERFORMANCE.md`.
//!
//! Every row is measured in rounds, in turn with what it is compared to, because a machine's speed changes with time.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod load;
mod ours;
mod pgbench;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use local_cloud::{LocalCloud, Options};
use sqlx::{AssertSqlSafe, PgPool};

use crate::load::{Load, SECONDS, Spread};
use crate::ours::{Measured, OF_A_BATCH};
use crate::pgbench::{Pgbench, Script};

const ROUNDS: u64 = 2;
/// Batches of busy wallets wait for each other; these hardly meet.
const EVEN: Load = load(100_000, Spread::Even, 20);
/// What rows are about: all wallets, some far more often than others, by as many connections as the scale has.
const MANY: Load = load(100_000, Spread::Zipf, 20);
const LOADS: [Load; 9] = [
    MANY,
    load(50, Spread::Even, 20),
    load(10, Spread::Even, 20),
    load(10_000, Spread::Even, 1),
    load(10_000, Spread::Even, 8),
    load(10_000, Spread::Even, 32),
    load(2, Spread::Even, 1),
    load(2, Spread::Even, 8),
    load(2, Spread::Even, 32),
];
const OPERATION: &str = "transfer";

const fn load(wallets: u32, spread: Spread, connections: u32) -> Load {
    Load {
        wallets,
        spread,
        connections,
    }
}

/// A row of ours beside the minimum.
#[derive(Debug)]
struct Row {
    load: Load,
    minimum: u64,
    ours: Measured,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "only an optimised build is worth measuring: cargo bench"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has a folder")?
        .to_owned();
    let lab = tempfile::tempdir()?;
    let mut options = Options::for_tests(&root);
    options.binaries = artifacts(&root, lab.path())?;
    options.durable_database = true;
    options.event_sources = false;
    options.max_instances = usize::try_from(MANY.connections)?;
    let cloud = LocalCloud::start(options).await?;
    let outcome = measure_all(&cloud).await;
    cloud.stop().await;
    outcome
}

/// The artifacts under their operations' names, as the local cloud looks for them.
fn artifacts(root: &Path, lab: &Path) -> anyhow::Result<PathBuf> {
    let folder = lab.join("binaries");
    std::fs::create_dir(&folder)?;
    for operation in ["migrate", OPERATION] {
        let artifact = root.join("target/lambda").join(operation).join("bootstrap");
        ensure!(artifact.is_file(), "run `make bench`, which builds {operation}");
        std::os::unix::fs::symlink(artifact, folder.join(operation))?;
    }
    Ok(folder)
}

async fn measure_all(cloud: &LocalCloud) -> anyhow::Result<()> {
    let url = cloud.database_url();
    let pool = PgPool::connect(url).await?;
    seed(&pool).await?;
    describe_machine(&pool).await?;
    let pgbench = Pgbench::new(url)?;
    let mut rows: Vec<Row> = Vec::new();
    for of_load in LOADS {
        let (mut minimum, mut ours) = (0, Measured::default());
        for _ in 0..ROUNDS {
            minimum += pgbench.run(Script::Minimum, of_load).await? / ROUNDS;
            ours.add(ours::transfers(url, of_load).await?, ROUNDS);
        }
        rows.push(Row {
            load: of_load,
            minimum,
            ours,
        });
    }
    print_rows(&rows);
    print_others(cloud, &pool, &pgbench).await
}

/// The tables that are compared with, and the wallets.
async fn seed(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(include_str!("tables.sql")).execute(pool).await?;
    // Not the payments: plans for an empty table are not those for a full one.
    for table in ["clients", "wallets", "bare_wallets", "narrow_wallets"] {
        let vacuum = format!("VACUUM ANALYZE {table}");
        sqlx::raw_sql(AssertSqlSafe(vacuum)).execute(pool).await?;
    }
    Ok(())
}

async fn describe_machine(pool: &PgPool) -> anyhow::Result<()> {
    let settings: String = sqlx::query_scalar(
        "SELECT concat_ws(', ', 'PostgreSQL ' || current_setting('server_version'), \
                'fsync ' || current_setting('fsync'), 'synchronous_commit ' || current_setting('synchronous_commit'), \
                'shared_buffers ' || current_setting('shared_buffers'), 'max_wal_size ' || current_setting('max_wal_size'))",
    )
    .fetch_one(pool)
    .await?;
    let processors = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism()?;
    println!(
        "{settings}; {model}, {cores} cores for server and callers together; {ROUNDS} rounds of {SECONDS} s a row.\n"
    );
    Ok(())
}

fn print_rows(rows: &[Row]) {
    println!("| wallets | connections | transfers/s | bare minimum/s | ratio | p50 | p99 |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            wallets(row.load),
            row.load.connections,
            row.ours.rate,
            row.minimum,
            ratio(row.ours.rate, row.minimum),
            milliseconds(row.ours.percentile(50)),
            milliseconds(row.ours.percentile(99)),
        );
    }
    println!();
}

/// Other yardsticks, batches and requests, all in turn with single transfers under the same load.
async fn print_others(cloud: &LocalCloud, pool: &PgPool, pgbench: &Pgbench) -> anyhow::Result<()> {
    let url = cloud.database_url();
    let scripts = [
        ("bare minimum, narrow tables", Script::NarrowMinimum),
        ("function that locks rows", Script::RowLock),
        ("function that locks rows, narrow tables", Script::NarrowRowLock),
    ];
    let mut rates = [0; 3];
    let [
        mut single,
        mut batches,
        mut even_single,
        mut even_batches,
        mut requests,
    ] = std::array::from_fn(|_| Measured::default());
    let mut log = 0;
    for _ in 0..ROUNDS {
        let before = log_position(pool).await?;
        let round = ours::transfers(url, MANY).await?;
        let done = u64::try_from(round.calls.len())?;
        log += u64::try_from(log_position(pool).await? - before)? / done.max(1) / ROUNDS;
        single.add(round, ROUNDS);
        for ((_, script), rate) in scripts.iter().zip(&mut rates) {
            *rate += pgbench.run(*script, MANY).await? / ROUNDS;
        }
        batches.add(ours::batches(url, MANY).await?, ROUNDS);
        even_single.add(ours::transfers(url, EVEN).await?, ROUNDS);
        even_batches.add(ours::batches(url, EVEN).await?, ROUNDS);
        requests.add(ours::requests(cloud, MANY).await?, ROUNDS);
    }
    println!(
        "All over {} wallets with {} connections:\n",
        wallets(MANY),
        MANY.connections
    );
    println!("| | transfers/s | single transfers to it | p50 | p99 |");
    println!("|---|---|---|---|---|");
    let batch_title = format!("batches of {OF_A_BATCH}");
    let even_title = format!("batches of {OF_A_BATCH}, evenly spread");
    let measured = [
        ("single transfers", &single),
        (batch_title.as_str(), &batches),
        ("single transfers, evenly spread", &even_single),
        (even_title.as_str(), &even_batches),
        ("requests over HTTP to the running function", &requests),
    ];
    let single_rate = measured.first().map_or(0, |(_, single)| single.rate);
    for (title, measured) in measured {
        println!(
            "| {title} | {} | {} | {} | {} |",
            measured.rate,
            ratio(single_rate, measured.rate),
            milliseconds(measured.percentile(50)),
            milliseconds(measured.percentile(99)),
        );
    }
    for ((title, _), rate) in scripts.iter().zip(rates) {
        println!("| {title} | {rate} | {} | | |", ratio(single_rate, rate));
    }
    println!(
        "\nA single transfer writes {log} bytes of write-ahead log, full pages after checkpoints included."
    );
    Ok(())
}

/// The end of the write-ahead log, in bytes.
async fn log_position(pool: &PgPool) -> anyhow::Result<i64> {
    let position = "SELECT (pg_current_wal_lsn() - '0/0'::PG_LSN)::BIGINT";
    Ok(sqlx::query_scalar(position).fetch_one(pool).await?)
}

fn wallets(load: Load) -> String {
    match load.spread {
        Spread::Even => load.wallets.to_string(),
        Spread::Zipf => format!("{} (Zipf)", load.wallets),
    }
}

fn ratio(one: u64, other: u64) -> String {
    let percent = one * 100 / other.max(1);
    format!("{}.{:02}", percent / 100, percent % 100)
}

fn milliseconds(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}
