//! At 100 updates a second: how long each takes until it is in PostgreSQL, until it has closed its account, and where the time
//! goes on the way. The engine's word counts from the moment before it is handed to Kafka's client.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use end_to_end::funded::{POSITIONS, Trader};
use end_to_end::{Fixture, Result, eventually};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{engine, milliseconds, percentile};

const SECOND: u32 = 100;
const UPDATES: usize = 3_000;
/// Of the first, of which some start the functions' processes, nothing is counted.
const UNCOUNTED: usize = 300;
/// One in so many closes its account. These accounts have no other updates.
const CLOSES: usize = 20;
/// What another implementation's look once in so long makes of it alone.
const POLL: Duration = Duration::from_millis(1_500);
/// PostgreSQL's own clock, the same machine's, when a transaction is about to be flushed.
const TIMES: [&str; 5] = [
    "CREATE TABLE bench_times (account BIGINT, sequence BIGINT, at TIMESTAMPTZ)",
    "CREATE FUNCTION bench_recorded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$ BEGIN
     INSERT INTO bench_times VALUES (NEW.funded_account_id, NEW.sequence, clock_timestamp()); RETURN NULL; END $$",
    "CREATE FUNCTION bench_closed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$ BEGIN
     INSERT INTO bench_times VALUES (NEW.id, NULL, clock_timestamp()); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER bench_recorded AFTER UPDATE ON funded_virtual_accounts
     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bench_recorded()",
    "CREATE CONSTRAINT TRIGGER bench_closed AFTER UPDATE OF status ON funded_accounts
     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'closed') EXECUTE FUNCTION bench_closed()",
];

/// A snapshot's sequence, none for a closure, and when it was written.
type Written = (Option<i64>, DateTime<Utc>);

struct Update {
    account: i64,
    sequence: i64,
    closes: bool,
    sent: DateTime<Utc>,
    taken: Duration,
}

pub(crate) async fn measure(fixture: &Fixture, logs: &Path, model: &Trader, traded: &[i64]) -> Result {
    for statement in TIMES {
        sqlx::query(statement).execute(fixture.database.pool()).await?;
    }
    // Everything that was made before has gone through the stream.
    let quiet = engine::WINDOW + 1;
    fixture.engine_says(&[engine::good(model.account, quiet)]).await?;
    let is_so = |record: &Value| record["current_balance_cents"] == engine::balance(quiet);
    model.is_recorded("the stream is quiet", is_so).await?;
    let (closed, kept) = traded.split_at(UPDATES / CLOSES);
    let updates = send(fixture, closed, kept).await?;
    let (first, counted) = updates.split_at_checked(UNCOUNTED).context("too few updates")?;
    let begun = first.last().context("no updates")?.sent;
    let (to_record, to_closure) = eventually("every update is recorded", async || {
        times(fixture, &updates).await?;
        times(fixture, counted).await
    })
    .await?;
    println!(
        "\n{SECOND} updates a second, {} in all, {} of them close their account:",
        counted.len(),
        to_closure.len()
    );
    let taken = counted.iter().map(|update| update.taken).collect();
    print("sent → taken by Kafka", taken);
    print(
        "apply_position_update, a batch",
        runs(logs, "apply_position_update", begun)?,
    );
    print("persist_state, a batch", runs(logs, "persist_state", begun)?);
    print("monitor_rules, a batch", runs(logs, "monitor_rules", begun)?);
    print("sent → recorded in PostgreSQL", to_record);
    print("sent → account closed in PostgreSQL", to_closure);
    println!(
        "{:<38} p50 {:>9}  p99 {:>9}   (by arithmetic, without any work)",
        "a poll once in 1.5 s waits",
        milliseconds(POLL / 2),
        milliseconds(POLL * 99 / 100)
    );
    Ok(())
}

/// Sends updates at an even pace, whatever becomes of those before.
async fn send(fixture: &Fixture, closed: &[i64], kept: &[i64]) -> Result<Vec<Update>> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", fixture.cloud.kafka_brokers())
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .create()?;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / SECOND);
    let mut sending = JoinSet::new();
    let (mut to_close, mut to_keep) = (closed.iter(), kept.iter().cycle());
    let mut sequences: HashMap<i64, i64> = HashMap::new();
    for number in 1..=UPDATES {
        let closes = number % CLOSES == 0;
        let next = if closes { to_close.next() } else { to_keep.next() };
        let account = *next.context("too few accounts")?;
        let sequence = sequences.entry(account).or_insert(engine::WINDOW);
        *sequence += 1;
        let sequence = *sequence;
        let snapshot = match closes {
            true => engine::bad(account, sequence),
            false => engine::good(account, sequence),
        };
        let producer = producer.clone();
        pace.tick().await;
        let sent = Utc::now();
        sending.spawn(async move {
            let (key, value) = (account.to_string(), snapshot.to_string());
            let record = FutureRecord::to(POSITIONS).key(&key).payload(&value);
            let delivery = producer.send_result(record).map_err(|(error, _)| error)?;
            delivery.await?.map_err(|(error, _)| error)?;
            let taken = (Utc::now() - sent).to_std().unwrap_or_default();
            Ok::<_, anyhow::Error>(Update {
                account,
                sequence,
                closes,
                sent,
                taken,
            })
        });
    }
    let mut updates = Vec::with_capacity(UPDATES);
    while let Some(update) = sending.join_next().await {
        updates.push(update??);
    }
    updates.sort_by_key(|update| update.sent);
    Ok(updates)
}

/// How long each took until it, or a later one of its account, was recorded; and those that close until they had closed.
async fn times(fixture: &Fixture, updates: &[Update]) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let rows: Vec<(i64, Option<i64>, DateTime<Utc>)> =
        sqlx::query_as("SELECT account, sequence, at FROM bench_times ORDER BY at")
            .fetch_all(fixture.database.pool())
            .await?;
    let mut of_account: HashMap<i64, Vec<Written>> = HashMap::new();
    for (account, sequence, at) in rows {
        of_account.entry(account).or_default().push((sequence, at));
    }
    let (mut to_record, mut to_closure, mut missing) = (Vec::new(), Vec::new(), 0);
    for update in updates {
        let rows = of_account
            .get(&update.account)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut took = |is_it: &dyn Fn(Option<i64>) -> bool, into: &mut Vec<Duration>| match rows
            .iter()
            .find(|(sequence, _)| is_it(*sequence))
        {
            Some((_, at)) => into.push((*at - update.sent).to_std().unwrap_or_default()),
            None => missing += 1,
        };
        took(&|sequence| sequence >= Some(update.sequence), &mut to_record);
        if update.closes {
            took(&|sequence| sequence.is_none(), &mut to_closure);
        }
    }
    ensure!(
        missing == 0,
        "{missing} updates and closures are not recorded yet"
    );
    Ok((to_record, to_closure))
}

/// How long the invocations of a function took, from the arrival of a batch to its answer.
fn runs(logs: &Path, function: &str, since: DateTime<Utc>) -> Result<Vec<Duration>> {
    let text = std::fs::read_to_string(logs.join(format!("{function}.log")))?;
    let mut durations = Vec::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let is_report = line["type"] == "platform.report";
        let at = line["time"]
            .as_str()
            .and_then(|time| time.parse::<DateTime<Utc>>().ok());
        if is_report && at > Some(since) {
            ensure!(line["outcome"] == "success", "{function} failed: {line}");
            durations.push(Duration::from_millis(
                line["duration_ms"].as_u64().context("no duration")?,
            ));
        }
    }
    Ok(durations)
}

fn print(what: &str, mut durations: Vec<Duration>) {
    durations.sort_unstable();
    println!(
        "{what:<38} p50 {:>9}  p99 {:>9}  max {:>9}  ({})",
        milliseconds(percentile(&durations, 50)),
        milliseconds(percentile(&durations, 99)),
        milliseconds(percentile(&durations, 100)),
        durations.len()
    );
}
