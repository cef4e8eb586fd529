//! Transfers per second: ours, with idempotency, events and all rules, beside a ledger that has neither, a plain function that
//! locks rows and the bare minimum of SQL, in one run on one durable PostgreSQL. And deferred ones, over several. `make bench`;
//! `functions/wallets/PERFORMANCE.md` and `SCALING.md`. Behind `--`, `one-node` or `nodes` measures that part alone.
//!
//! Every row is measured in rounds, in turn with what it is compared to, because a machine's speed changes with time.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod load;
mod nodes;
mod ours;
mod pgbench;
mod processor;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, ensure};
use local_cloud::{LocalCloud, Options};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::load::{Load, SECONDS, Spread};
use crate::ours::{Measured, OF_A_BATCH};
use crate::pgbench::{Pgbench, Script};
use crate::processor::Server;

const ROUNDS: u64 = 2;
/// Batches of busy wallets wait for each other; these hardly meet.
const EVEN: Load = load(100_000, Spread::Even, 20);
/// What rows are about: all wallets, some far more often than others, by as many connections as the scale has.
const MANY: Load = load(100_000, Spread::Zipf, 20);
const LOADS: [Load; 7] = [
    load(1_000, Spread::Even, 20),
    load(50, Spread::Even, 20),
    load(10, Spread::Even, 20),
    MANY,
    EVEN,
    load(10_000, Spread::Even, 1),
    load(2, Spread::Even, 8),
];
const OPERATION: &str = "transfer";

const fn load(wallets: u32, spread: Spread, connections: u32) -> Load {
    Load {
        wallets,
        spread,
        connections,
    }
}

/// What is measured beside ours, the goal's first.
const BESIDE: [(&str, Script); 3] = [
    ("ledger", Script::Ledger),
    ("row-lock function", Script::RowLock),
    ("bare minimum", Script::Minimum),
];

/// Transfers per second, and microseconds of the server's processor for each.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    rate: u64,
    micros: u64,
}

/// A row of ours beside the others.
#[derive(Debug)]
struct Row {
    load: Load,
    ours: Measured,
    cost: Cost,
    others: [Cost; 3],
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        println!(
            "Not optimised: our callers' rates are lower than they are, the servers' processor times hold.\n"
        );
    }
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
    let over_nodes = Options {
        wallet_nodes: nodes::NODES,
        state: lab.path().join("nodes"),
        ..options.clone()
    };
    let only = |part: &str| std::env::args().any(|word| word == part);
    if !only("nodes") {
        let cloud = LocalCloud::start(options).await?;
        let outcome = measure_all(&cloud).await;
        cloud.stop().await;
        outcome?;
    }
    if !only("one-node") {
        let cloud = LocalCloud::start(over_nodes).await?;
        let outcome = nodes::measure(&cloud).await;
        cloud.stop().await;
        outcome?;
    }
    Ok(())
}

/// Connections for seeding and looking, which may take longer than a function's statement.
async fn pool(url: &str) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(url)?.options([("statement_timeout", "0")]);
    Ok(PgPool::connect_with(options).await?)
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
    let pool = pool(url).await?;
    seed(&pool).await?;
    describe_machine(&pool).await?;
    let pgbench = Pgbench::new(url)?;
    let server = Server::of(&pool).await?;
    let mut rows: Vec<Row> = Vec::new();
    for of_load in LOADS {
        rows.push(measure_row(url, &pgbench, server, of_load).await?);
    }
    print_rows(&rows);
    print_others(cloud, &pool, &pgbench).await
}

async fn measure_row(url: &str, pgbench: &Pgbench, server: Server, load: Load) -> anyhow::Result<Row> {
    let mut row = Row {
        load,
        ours: Measured::default(),
        cost: Cost::default(),
        others: [Cost::default(); 3],
    };
    for _ in 0..ROUNDS {
        let before = server.micros()?;
        let round = ours::transfers(url, load).await?;
        let done = u64::try_from(round.calls.len())?;
        row.cost.micros += (server.micros()? - before) / done.max(1) / ROUNDS;
        row.cost.rate += round.rate / ROUNDS;
        row.ours.add(round, ROUNDS);
        for ((_, script), cost) in BESIDE.iter().zip(&mut row.others) {
            let before = server.micros()?;
            let rate = pgbench.run(*script, load).await?;
            cost.micros += (server.micros()? - before) / (rate * SECONDS).max(1) / ROUNDS;
            cost.rate += rate / ROUNDS;
        }
    }
    Ok(row)
}

/// The tables that are compared with, and the wallets.
async fn seed(pool: &PgPool) -> anyhow::Result<()> {
    for tables in [include_str!("ledger_tables.sql"), include_str!("tables.sql")] {
        sqlx::raw_sql(tables).execute(pool).await?;
    }
    // Not the payments: plans for an empty table are not those for a full one.
    for table in [
        "clients",
        "wallets",
        "bare_wallets",
        "narrow_wallets",
        "ledger_accounts",
    ] {
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
    print!("| wallets | connections | transfers/s | µs | p50 | p99 |");
    for (name, _) in BESIDE {
        print!(" {name}/s | µs | ours to it |");
    }
    println!(
        "\n|---|---|---|---|---|---|{}",
        "---|---|---|".repeat(BESIDE.len())
    );
    for row in rows {
        print!(
            "| {} | {} | {} | {} | {} | {} |",
            wallets(row.load),
            row.load.connections,
            row.cost.rate,
            row.cost.micros,
            milliseconds(row.ours.percentile(50)),
            milliseconds(row.ours.percentile(99)),
        );
        for other in row.others {
            print!(
                " {} | {} | {} |",
                other.rate,
                other.micros,
                ratio(row.cost.rate, other.rate)
            );
        }
        println!();
    }
    println!("\nµs: processor time of the database's server for each.\n");
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
