//! What a run of each job, and an answer of each list, reads after ten times the history: rows of tables and entries of indexes,
//! and blocks of either. `make bench`; it fails when something grows with all of history.
//!
//! Everything in the history is settled: what a run has to do stays the same. The figures are PostgreSQL's own counters, so
//! that they are the same on any machine.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use end_to_end::billing::VISA;
use end_to_end::wallets::WalletClient;
use end_to_end::{Fixture, Result, Tester, options, root};
use local_cloud::template::Event;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

/// Rows of each table at first.
const HISTORY: i64 = 5_000;
const TIMES: i64 = 10;
/// Blocks that may come with a deeper index, and rows with another plan (165 currencies are read whole), without being growth.
const SLACK: i64 = 200;

/// What reads more, up to a limit that the history doesn't move.
const EXPECTED: [(&str, &str); 2] = [
    (
        "list_commission_history",
        "sums a profile's charges by year: twelve a year",
    ),
    (
        "prune_records",
        "the index of what was published leaves out the newest 128 pages, which are read whole",
    ),
];

/// Who has the history.
struct People {
    customer: Tester,
    method: i64,
    payer: WalletClient,
    payee: WalletClient,
    trader: i64,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    rows: i64,
    blocks: i64,
    /// Rows, by table.
    tables: BTreeMap<String, i64>,
}

impl Read {
    /// Whether this is more than twice as much as before ten times the history came.
    fn has_grown_from(&self, before: &Self) -> bool {
        self.rows > before.rows * 2 + SLACK || self.blocks > before.blocks * 2 + SLACK
    }

    /// The table of which most was read.
    fn most(&self) -> &str {
        let most = self.tables.iter().max_by_key(|(_, rows)| **rows);
        most.map_or("", |(table, _)| table)
    }
}

#[tokio::main]
async fn main() -> Result {
    let mut options = options();
    // Nothing runs but what is measured.
    options.schedules = false;
    let fixture = Fixture::start(options).await?;
    let outcome = measure(&fixture).await;
    fixture.stop().await;
    outcome
}

async fn measure(fixture: &Fixture) -> Result {
    let people = people(fixture).await?;
    for queue in [
        "domain-events",
        "portfolio-changes.fifo",
        "outbox-nudges",
        "drivewealth-events",
    ] {
        fixture.queue_reaches(queue, 0).await?;
        fixture.cloud.pause_event_source(queue, true).await?;
    }
    fixture.relay_outbox().await?;
    fill(fixture, &people, 1, HISTORY).await?;
    let before = all(fixture, &people).await?;
    fill(fixture, &people, HISTORY + 1, HISTORY * TIMES).await?;
    let after = all(fixture, &people).await?;
    println!("{:<28} {:>21} {:>23}", "", "rows read", "blocks read");
    println!(
        "{:<28} {:>10} {:>10} {:>11} {:>11}",
        "",
        HISTORY,
        HISTORY * TIMES,
        HISTORY,
        HISTORY * TIMES
    );
    let mut grown = Vec::new();
    for ((name, once), (_, later)) in before.iter().zip(&after) {
        let grows = later.has_grown_from(once);
        let reason = EXPECTED.iter().find(|(expected, _)| name == expected);
        let mark = match (grows, reason) {
            (false, _) => String::new(),
            (true, Some((_, reason))) => (*reason).to_owned(),
            (true, None) => format!("grows: {}", later.most()),
        };
        println!(
            "{name:<28} {:>10} {:>10} {:>11} {:>11}  {mark}",
            once.rows, later.rows, once.blocks, later.blocks
        );
        grown.extend((grows && reason.is_none()).then_some(name.as_str()));
    }
    ensure!(
        grown.is_empty(),
        "these grow with all of history: {}",
        grown.join(", ")
    );
    Ok(())
}

async fn people(fixture: &Fixture) -> Result<People> {
    let customer = fixture.customer().await?;
    let method = customer.save_card(fixture, VISA).await?;
    fixture.cloud.stripe().limit_webhooks(Some(&[]));
    let payer = fixture.wallet_client(&[("USD", 100_000_000)]).await?;
    let payee = fixture.wallet_client(&[("USD", 0)]).await?;
    let trader = fixture.trader().await?;
    Ok(People {
        customer,
        method,
        payer,
        payee,
        trader: trader.account,
    })
}

/// The history from one row to another, in every table that grows.
async fn fill(fixture: &Fixture, people: &People, first: i64, last: i64) -> Result {
    let customer = &people.customer.customer;
    let (profile, account, bank) = (
        customer.profile_id,
        customer.trading_account_id,
        customer.bank_account_id,
    );
    let (broker, method, trader) = (&customer.drivewealth_account_id, people.method, people.trader);
    let wallet = people.payer.wallets.first().context("no wallet")?.1;
    let (payer, payee) = (people.payer.id, people.payee.id);
    let rows = format!("FROM generate_series({first}, {last}) AS n");
    let script = [
        format!(
            "INSERT INTO trading_money_flow (profile_id, trading_account_id, bank_account_id, amount_cents, currency, status, \
             provider_state, settled_at, created_at) SELECT {profile}, {account}, {bank}, 100, 'USD', 'success', 'accepted', \
             now() - n * INTERVAL '1 hour' - INTERVAL '100 days', now() - n * INTERVAL '1 hour' - INTERVAL '101 days' {rows}"
        ),
        format!(
            "INSERT INTO trading_account_balances SELECT {account}, DATE '2025-01-01' - n::INT, 100, 100, 'USD', now() {rows}"
        ),
        format!(
            "INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at) \
             SELECT 'drivewealth', 'history-' || n, 'deposits.updated', now() - INTERVAL '50 days', '{{}}', \
             now() - INTERVAL '50 days' {rows}"
        ),
        format!(
            "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination, created_at, \
             published_at) SELECT gen_random_uuid(), 'money-flow.succeeded', 'key-' || n, '{{}}', 'topic', 'trading.events', \
             now() - INTERVAL '20 days', now() - INTERVAL '20 days' {rows}"
        ),
        format!(
            "WITH made AS (INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, \
             period_end, status, paid_at, created_at) SELECT {profile}, 100, 'USD', now() - INTERVAL '200 days', 'Commission', \
             DATE '2024-01-01' - n::INT, DATE '2024-01-01' - n::INT, 'paid', now() - INTERVAL '199 days', \
             now() - INTERVAL '200 days' {rows} RETURNING id) \
             INSERT INTO invoice_payments (profile_id, invoice_id, payment_method_id, attempt, idempotency_key, amount_cents, \
             currency, status, payment_intent_id, run_at, created_at, finished_at) \
             SELECT {profile}, id, {method}, 1, 'history-' || id, 100, 'USD', 'succeeded', 'pi_history_' || id, \
             now() - INTERVAL '199 days', now() - INTERVAL '199 days', now() - INTERVAL '199 days' FROM made"
        ),
        format!(
            "INSERT INTO statements (drivewealth_account_id, kind, file_key, display_name, day, created_at) \
             SELECT '{broker}', 'monthly', 'history-' || n, 'Statement', \
             DATE '2025-01-01' - n::INT, now() {rows}"
        ),
        format!(
            "INSERT INTO funded_equity_history SELECT {trader}, now() - n * INTERVAL '1 minute', 100, 100, 100, 0 {rows}"
        ),
        format!(
            "INSERT INTO reviews (area, kind, subject, profile_id, summary, evidence, actions, state, opened_at, last_seen_at, \
             closed_at) SELECT 'trading', 'foreign-payment', 'history-' || n, {profile}, 'Settled', '{{\"ours\": null, \"theirs\": null}}', '[]', 'applied', \
             now() - INTERVAL '90 days', now() - INTERVAL '90 days', now() - INTERVAL '80 days' {rows}"
        ),
        // Each transfer locks its key until the end of its transaction.
        format!(
            "DO $$ BEGIN FOR n IN {first}..{last} LOOP \
             PERFORM transfer_between_wallets({payer}, {wallet}, {payee}, (SELECT currency FROM wallets WHERE id = {wallet}), 1, \
             NULL, gen_random_uuid(), gen_random_uuid(), n, NULL, gen_random_uuid(), 'history', now(), '-infinity'); \
             IF n % 1000 = 0 THEN COMMIT; END IF; END LOOP; END $$"
        ),
        // What the transfers tell is told.
        "UPDATE outbox_messages SET published_at = now() - INTERVAL '1 day' WHERE published_at IS NULL"
            .to_owned(),
        "VACUUM ANALYZE".to_owned(),
    ];
    let database = fixture.database.pool();
    for statement in script {
        let what: String = statement.chars().take(60).collect();
        let mut connection = database.acquire().await?;
        sqlx::raw_sql("SET statement_timeout = 0")
            .execute(&mut *connection)
            .await?;
        let done = sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await;
        done.with_context(|| what)?;
    }
    Ok(())
}

/// Every job by its schedule, and every answer that a caller gets by reading.
async fn all(fixture: &Fixture, people: &People) -> Result<Vec<(String, Read)>> {
    let (mut measured, mut failed) = (Vec::new(), Vec::new());
    for function in &fixture.cloud.template().functions {
        let name = &function.binary;
        let is_job = function
            .events
            .iter()
            .any(|event| matches!(event, Event::Schedule(_)));
        let is_list = function
            .events
            .iter()
            .any(|event| matches!(event, Event::Http(route) if route.method == "GET"));
        if is_job {
            // Twice: the first run after so much that is new may have to catch up.
            for _ in 0..2 {
                fixture.cloud.run_schedule(name, None).await?;
            }
            let read = read_by(fixture, name, async || {
                let result = fixture.cloud.run_schedule(name, None).await?;
                ensure!(result.function_error.is_none(), "{name}: {}", result.payload);
                Ok(())
            });
            match read.await {
                Ok(read) => measured.push((name.clone(), read)),
                Err(error) => failed.push(format!("{error:#}")),
            }
        } else if is_list && let Some(event) = request(people, name)? {
            let read = read_by(fixture, name, async || {
                let result = fixture.cloud.invoke(name, event.clone()).await?;
                ensure!(result.payload["statusCode"] == 200, "{name}: {}", result.payload);
                Ok(())
            });
            match read.await {
                Ok(read) => measured.push((name.clone(), read)),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(measured)
}

/// The request of the event file, by those who have the history; none for what they have nothing of.
fn request(people: &People, name: &str) -> Result<Option<Value>> {
    let text = std::fs::read_to_string(root().join("events").join(format!("{name}.json")))?;
    let mut event: Value = serde_json::from_str(&text)?;
    let of_others = [
        "get_bill",
        "get_bills_by_dealer",
        "get_dealer",
        "check_fast_buyout",
        "get_exchange_rate",
        "get_quote",
    ];
    let of_providers = [
        "get_statement_document",
        "get_payout_account",
        "get_actual_holdings",
        "list_recommended_weights",
    ];
    if of_others.contains(&name) || of_providers.contains(&name) {
        return Ok(None);
    }
    let claims = &mut event["requestContext"]["authorizer"]["jwt"]["claims"];
    for (claim, id) in [
        ("profile_id", people.customer.customer.profile_id),
        ("wallet_client_id", people.payer.id),
    ] {
        if claims[claim].is_string() {
            claims[claim] = json!(id.to_string());
        }
    }
    Ok(Some(event))
}

/// What PostgreSQL read for a piece of work: its sessions are ended, so that all of it is counted.
async fn read_by(fixture: &Fixture, function: &str, work: impl AsyncFn() -> Result) -> Result<Read> {
    fixture.cloud.kill(function).await?;
    let database = fixture.database.pool();
    let before = settled(database).await?;
    work().await.with_context(|| format!("measuring {function}"))?;
    fixture.cloud.kill(function).await?;
    let after = settled(database).await?;
    let tables = after.tables.iter().map(|(table, rows)| {
        let rows = rows - before.tables.get(table).unwrap_or(&0);
        (table.clone(), rows)
    });
    Ok(Read {
        rows: after.rows - before.rows,
        blocks: after.blocks - before.blocks,
        tables: tables.collect(),
    })
}

const COUNTERS: &str = "SELECT relname::TEXT, (seq_tup_read + coalesce(idx_tup_fetch, 0) + coalesce((SELECT sum(idx_tup_read) \
     FROM pg_stat_user_indexes WHERE relid = rows.relid), 0))::BIGINT, \
     (heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0))::BIGINT \
     FROM pg_stat_user_tables AS rows JOIN pg_statio_user_tables AS blocks USING (relid, relname)";

/// The counters, once they stand still.
async fn settled(database: &PgPool) -> Result<Read> {
    let begun = Instant::now();
    let mut last = None;
    loop {
        let counted: Vec<(String, i64, i64)> = sqlx::query_as(COUNTERS).fetch_all(database).await?;
        let read = Read {
            rows: counted.iter().map(|(_, rows, _)| rows).sum(),
            blocks: counted.iter().map(|(_, _, blocks)| blocks).sum(),
            tables: counted
                .into_iter()
                .map(|(table, rows, _)| (table, rows))
                .collect(),
        };
        if last.as_ref() == Some(&read) {
            return Ok(read);
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "the counters don't come to rest"
        );
        last = Some(read);
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
}
