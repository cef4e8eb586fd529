//! A sweep of all accounts, with and without records that are behind; the scan of the table that it begins with is shown apart,
//! as this process does it. And the round trips to PostgreSQL, which are as many for a tenth of the accounts.

use std::time::Duration;

use anyhow::ensure;
use end_to_end::wire::Wire;
use end_to_end::{Fixture, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{ALL, TABLE, milliseconds, percentile};

const FUNCTION: &str = "sweep_funded_accounts";
const ROUNDS: usize = 5;
/// The attributes that the sweep asks for.
const ATTRIBUTES: &str = "funded_account_id, version, #status, terms, #state, #rules, breach";
const BEHIND: &str = "UPDATE funded_virtual_accounts SET live_version = 0 WHERE $1 = 0";

pub(crate) async fn measure(fixture: &Fixture) -> Result {
    sqlx::query("VACUUM ANALYZE funded_accounts, funded_virtual_accounts")
        .execute(fixture.database.pool())
        .await?;
    // The first makes up for what the stream was kept from.
    sweep(fixture).await?;
    println!("\na sweep of {ALL} active accounts with five positions each:");
    let (mut nothing, mut behind, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        scans.push(scan(fixture).await?);
        let (took, report) = sweep(fixture).await?;
        ensure!(report["recorded"] == 0, "{report}");
        nothing.push(took);
        fixture.database.change(BEHIND, 0).await?;
        let (took, report) = sweep(fixture).await?;
        ensure!(report["recorded"].as_u64() >= u64::try_from(ALL).ok(), "{report}");
        behind.push(took);
    }
    let scan = middle(scans);
    let (nothing, behind) = (middle(nothing), middle(behind));
    println!("{:<38} {:>9}", "the scan alone", milliseconds(scan));
    for (what, took) in [("nothing to do", nothing), ("every record behind", behind)] {
        println!(
            "{what:<38} {:>9}, without the scan {:>9}",
            milliseconds(took),
            milliseconds(took.saturating_sub(scan))
        );
    }
    let wire = Wire::attach(fixture, FUNCTION, &["DATABASE_URL"]).await?;
    sweep(fixture).await?;
    let mut trips = Vec::new();
    for kept in [ALL, ALL / 10] {
        hide_all_but(fixture, kept).await?;
        let (_, idle) = wire.round_trips(sweep(fixture)).await?;
        fixture.database.change(BEHIND, 0).await?;
        let (_, busy) = wire.round_trips(sweep(fixture)).await?;
        trips.push(format!(
            "{kept} accounts: {idle}, {busy} when every record is behind"
        ));
    }
    wire.detach(fixture).await?;
    println!("round trips to PostgreSQL: {}", trips.join("; "));
    Ok(())
}

async fn sweep(fixture: &Fixture) -> Result<(Duration, Value)> {
    let begun = Instant::now();
    let report = fixture.run(FUNCTION, json!({})).await?.payload;
    Ok((begun.elapsed(), report))
}

/// The others count as if their activation weren't finished.
async fn hide_all_but(fixture: &Fixture, kept: usize) -> Result {
    let hide = "UPDATE funded_accounts SET activated_at = NULL WHERE id NOT IN \
                (SELECT id FROM funded_accounts WHERE status = 'active' ORDER BY id DESC LIMIT $1)";
    fixture.database.change(hide, i64::try_from(kept)?).await?;
    Ok(())
}

/// The whole table, as the sweep asks for it.
async fn scan(fixture: &Fixture) -> Result<Duration> {
    let (table, begun) = (fixture.cloud.table(TABLE)?, Instant::now());
    let (mut start, mut seen) = (None, 0);
    loop {
        let scan = fixture.cloud.dynamodb().scan().table_name(&table);
        let page = scan
            .projection_expression(ATTRIBUTES)
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#rules", "rules")
            .set_exclusive_start_key(start)
            .send()
            .await?;
        seen += page.items().len();
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    ensure!(seen >= ALL, "{seen} accounts");
    Ok(begun.elapsed())
}

fn middle(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    percentile(&durations, 50)
}
