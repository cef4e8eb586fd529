//! Updates a second: the function with batches of 100, as many at once as there are pollers, beside a bare consistent get and
//! conditional put of the same items at the same DynamoDB, in turn. Nobody reads the table's stream meanwhile.

use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use end_to_end::funded::POSITIONS;
use end_to_end::{Fixture, Result};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{TABLE, engine};

/// What the template has.
const POLLERS: usize = 6;
const BATCH: usize = 100;
const ROUNDS: usize = 5;
/// Updates of a lane in a round.
const OF_A_LANE: usize = 500;

pub(crate) async fn measure(fixture: &Fixture, traded: &[i64]) -> Result {
    // Those at the beginning are closed.
    let lanes: Vec<&[i64]> = traded.rchunks(BATCH).take(POLLERS).collect();
    ensure!(lanes.iter().all(|lane| lane.len() == BATCH), "too few accounts");
    let mut sequence = 10_000;
    round(fixture, &lanes, &mut sequence).await?;
    println!("\nupdates a second, {POLLERS} batches of {BATCH} at once:");
    let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let (our_time, bare_time) = (
            round(fixture, &lanes, &mut sequence).await?,
            bare_round(fixture, &lanes).await?,
        );
        println!(
            "  {:>7.0} decided, {:>7.0} bare get and conditional put",
            rate(our_time, 1),
            rate(bare_time, 1)
        );
        (ours, bare) = (ours + our_time, bare + bare_time);
    }
    println!(
        "in all {:.0}/s beside {:.0}/s: {:.2} of it",
        rate(ours, ROUNDS),
        rate(bare, ROUNDS),
        bare.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

fn rate(time: Duration, rounds: usize) -> f64 {
    let updates = u32::try_from(POLLERS * OF_A_LANE * rounds).unwrap_or(u32::MAX);
    f64::from(updates) / time.as_secs_f64()
}

/// Each lane's accounts in turn, by batches to the function.
async fn round(fixture: &Fixture, lanes: &[&[i64]], sequence: &mut i64) -> Result<Duration> {
    let first = *sequence + 1;
    *sequence += i64::try_from(OF_A_LANE / BATCH)?;
    let last = *sequence;
    let begun = Instant::now();
    try_join_all((0..).zip(lanes).map(async |(partition, lane)| {
        for sequence in first..=last {
            let snapshots = lane.iter().map(|account| engine::good(*account, sequence));
            let answer = fixture
                .cloud
                .invoke("apply_position_update", event(partition, snapshots))
                .await?;
            ensure!(
                answer.function_error.is_none() && answer.payload["batchItemFailures"] == json!([]),
                "{:?} {}",
                answer.function_error,
                answer.payload
            );
        }
        Ok(())
    }))
    .await?;
    Ok(begun.elapsed())
}

/// The event with which Lambda gives records of a partition to the function.
fn event(partition: i64, snapshots: impl Iterator<Item = Value>) -> Value {
    let record = |(offset, snapshot): (usize, Value)| {
        json!({
            "topic": POSITIONS, "partition": partition, "offset": offset, "timestamp": Utc::now().timestamp_millis(),
            "timestampType": "CREATE_TIME", "headers": [], "key": STANDARD.encode(snapshot["accountId"].to_string()),
            "value": STANDARD.encode(snapshot.to_string()),
        })
    };
    let records: Vec<Value> = snapshots.enumerate().map(record).collect();
    json!({
        "eventSource": "SelfManagedKafka", "bootstrapServers": "localhost:9092",
        "records": { (format!("{POSITIONS}-{partition}")): records },
    })
}

async fn bare_round(fixture: &Fixture, lanes: &[&[i64]]) -> Result<Duration> {
    let table = fixture.cloud.table(TABLE)?;
    let begun = Instant::now();
    try_join_all(lanes.iter().map(async |lane| {
        for account in lane.iter().cycle().take(OF_A_LANE) {
            get_and_put(fixture, &table, *account).await?;
        }
        Ok::<_, anyhow::Error>(())
    }))
    .await?;
    Ok(begun.elapsed())
}

/// What can't be saved: the item is read, and written on the condition that nobody else has written it.
async fn get_and_put(fixture: &Fixture, table: &str, account: i64) -> Result {
    let dynamodb = fixture.cloud.dynamodb();
    let key = AttributeValue::S(account.to_string());
    let get = dynamodb
        .get_item()
        .table_name(table)
        .key("pk", key)
        .consistent_read(true);
    let item = get.send().await?.item.context("no item")?;
    let version = item
        .get("version")
        .and_then(|version| version.as_n().ok())
        .context("no version")?
        .clone();
    let next = (version.parse::<i64>()? + 1).to_string();
    let put = dynamodb
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .item("version", AttributeValue::N(next));
    let put = put
        .condition_expression("version = :version")
        .expression_attribute_values(":version", AttributeValue::N(version));
    put.send().await?;
    Ok(())
}
