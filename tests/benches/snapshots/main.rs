//! Funded accounts: how long a snapshot of the trading engine takes to where it counts, hop by hop; how many a second are
//! decided, beside a bare get and conditional put at the same DynamoDB; and what a sweep of 10,000 accounts costs. Every account
//! has five positions and remembers 100 snapshots, as in the middle of a day. `make bench`.
//!
//! PostgreSQL is durable, DynamoDB the local cloud's.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::float_arithmetic, reason = "rates of updates, not money")]
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod engine;
mod hops;
mod rate;
mod sweep;

use std::path::PathBuf;
use std::time::Duration;

use end_to_end::funded::Trader;
use end_to_end::measured::{binaries, machine};
use end_to_end::{Fixture, Result, options, root};
use local_cloud::Options;

/// The operations whose artifacts are measured.
const MEASURED: [&str; 4] = [
    "apply_position_update",
    "persist_state",
    "monitor_rules",
    "sweep_funded_accounts",
];
/// Accounts that are traded.
const TRADED: usize = 1_000;
/// Active accounts that the sweep looks at.
const ALL: usize = 10_000;
const TABLE: &str = "funded-accounts";

#[tokio::main]
async fn main() -> Result {
    let lab = tempfile::tempdir()?;
    let options = Options {
        durable_database: true,
        binaries: binaries(&root(), lab.path(), &MEASURED)?,
        ..options()
    };
    let logs = options.state.join("logs");
    let fixture = Fixture::start(options).await?;
    let outcome = measure(&fixture, logs).await;
    fixture.stop().await;
    outcome
}

async fn measure(fixture: &Fixture, logs: PathBuf) -> Result {
    println!("funded accounts; {}", machine());
    // What others make of an account's events isn't measured.
    fixture.cloud.pause_event_source("outbox-nudges", true).await?;
    let model = model(fixture).await?;
    let traded = fixture.traders_like(&model, TRADED).await?;
    let traded: Vec<i64> = traded.into_iter().map(|(_, account)| account).collect();
    hops::measure(fixture, &logs, &model, &traded).await?;
    fixture.cloud.pause_event_source(TABLE, true).await?;
    rate::measure(fixture, &traded).await?;
    let active = "SELECT count(*) FROM funded_accounts WHERE status = 'active' AND $1 = 0";
    let active = usize::try_from(fixture.database.count(active, 0).await?)?;
    fixture.traders_like(&model, ALL.saturating_sub(active)).await?;
    sweep::measure(fixture).await
}

/// A trader whose account is like all others: 100 snapshots with five positions.
async fn model(fixture: &Fixture) -> Result<Trader> {
    let trader = fixture.trader().await?;
    let snapshots: Vec<_> = (1..=engine::WINDOW)
        .map(|sequence| engine::good(trader.account, sequence))
        .collect();
    fixture.engine_says(&snapshots).await?;
    trader
        .is_recorded("the model is recorded", |record| {
            record["current_balance_cents"] == engine::balance(engine::WINDOW)
        })
        .await?;
    Ok(trader)
}

fn percentile<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let last = sorted.len().saturating_sub(1);
    let index = (last * percent).div_ceil(100);
    sorted.get(index).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}
