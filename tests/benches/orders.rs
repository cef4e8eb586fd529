//! Carrying orders of collections out: accounts a second for 1,000 accounts with three pending orders each (a sale, a purchase of
//! what is held, and one of what isn't), against a sandbox of DriveWealth that answers at once; and the round trips that an
//! account costs, to DriveWealth and to PostgreSQL. Beside it, what these round trips take alone. `make bench`.
//!
//! First all are planned and pushed, each by a message; then one round of polls ends their runs. The database is durable.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::float_arithmetic, reason = "rates of accounts, not money")]

use std::time::Duration;

use anyhow::{Context, ensure};
use end_to_end::collections::{CONSUMER, FIRST, Investor, SECOND};
use end_to_end::measured::{binaries, machine};
use end_to_end::wire::Wire;
use end_to_end::{Fixture, Result, options, root};
use futures::future::try_join_all;
use local_cloud::Options;
use local_cloud::keys::{DRIVEWEALTH_APP_KEY, DRIVEWEALTH_PASSWORD, DRIVEWEALTH_USERNAME};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const ACCOUNTS: u32 = 1_000;
const ORDERS_OF_AN_ACCOUNT: i64 = 3;
const MEASURED: [&str; 3] = [CONSUMER, "apply_pending_versions", "poll_autopilot_runs"];
/// Accounts that are worked on at the same time, as the template has it.
const AT_ONCE: u32 = 10;
/// Accounts that are made at the same time.
const MAKERS: u32 = 10;
const PUSHED: &str = "SELECT count(*) FROM trading_collection_versions AS version \
                      JOIN drivewealth_autopilot_runs AS run ON run.id = version.run_id \
                      WHERE version.id > $1 AND run.ref_id IS NOT NULL";
const COMPLETE: &str = "SELECT count(*) FROM trading_collection_versions WHERE status = 'complete' AND id > $1 \
                        AND run_id IS NOT NULL";
const LOOK: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(600);
/// A run is asked about when it was pushed 45 s ago.
const ASKED_AGAIN: Duration = Duration::from_secs(46);

#[tokio::main]
async fn main() -> Result {
    let lab = tempfile::tempdir()?;
    let options = Options {
        durable_database: true,
        binaries: binaries(&root(), lab.path(), &MEASURED)?,
        ..options()
    };
    let fixture = Fixture::start(options).await?;
    let outcome = measure(&fixture).await;
    fixture.stop().await;
    outcome
}

async fn measure(fixture: &Fixture) -> Result {
    println!("orders of collections; {}", machine());
    fixture.cloud.drivewealth().run_pace(Some(Duration::ZERO));
    // What follows from an order's end isn't measured.
    for queue in ["domain-events", "live-updates"] {
        fixture.cloud.pause_event_source(queue, true).await?;
    }
    fixture.open_market().await?;
    let new = fixture.collection(&[("AAPL", 6_000), ("MSFT", 4_000)]).await?;
    let collections = [
        fixture.collection(&FIRST).await?,
        fixture.collection(&SECOND).await?,
        new,
    ];
    let cost = of_one_account(fixture, collections).await?;
    println!(
        "an account with {ORDERS_OF_AN_ACCOUNT} orders: pushed with {} calls of DriveWealth and {} round trips to PostgreSQL, ended with {} \
         and {}",
        cost.push.calls, cost.push.trips, cost.end.calls, cost.end.trips
    );
    println!("making {ACCOUNTS} accounts");
    let before = newest(fixture).await?;
    let making = Instant::now();
    let accounts = try_join_all((0..MAKERS).map(async |_| {
        let mut account = String::new();
        for _ in 0..ACCOUNTS / MAKERS {
            let investor = investor_with_orders(fixture, collections).await?;
            account = investor.tester.customer.drivewealth_account_id;
        }
        Ok::<_, anyhow::Error>(account)
    }))
    .await?;
    let account = accounts.first().context("no accounts")?;
    println!("made in {:.0} s", making.elapsed().as_secs_f64());
    let expected = ORDERS_OF_AN_ACCOUNT * i64::from(ACCOUNTS);
    let begun = Instant::now();
    fixture.run("apply_pending_versions", json!({})).await?;
    until(fixture, PUSHED, before, expected).await?;
    let pushed = begun.elapsed().as_secs_f64();
    println!("pushed in {pushed:.1} s");
    sleep(ASKED_AGAIN).await;
    let begun = Instant::now();
    fixture.run("poll_autopilot_runs", json!({})).await?;
    until(fixture, COMPLETE, before, expected).await?;
    let ended = begun.elapsed().as_secs_f64();
    for (what, seconds, cost) in [("pushed", pushed, &cost.push), ("ended", ended, &cost.end)] {
        let alone = bare(fixture, account, cost).await?;
        println!(
            "{ACCOUNTS} accounts {what}: {seconds:.1} s, {:.1} accounts/s; their round trips alone {alone:.1} s; {:.2} of it",
            f64::from(ACCOUNTS) / seconds,
            alone / seconds,
        );
    }
    Ok(())
}

/// What an account costs that is planned and pushed, and whose run is ended.
struct Cost {
    push: RoundTrips,
    end: RoundTrips,
}

struct RoundTrips {
    calls: usize,
    trips: u64,
}

/// Measured on the second account: the first one starts the function and signs it in.
async fn of_one_account(fixture: &Fixture, collections: [i64; 3]) -> Result<Cost> {
    let before = newest(fixture).await?;
    let wire = Wire::attach(fixture, CONSUMER, &["DATABASE_URL"]).await?;
    let mut cost = None;
    for _ in 0..2 {
        let investor = investor_with_orders(fixture, collections).await?;
        cost = Some(Cost {
            push: count(fixture, &wire, &investor).await?,
            end: count(fixture, &wire, &investor).await?,
        });
    }
    wire.detach(fixture).await?;
    let complete = fixture.database.count(COMPLETE, before).await?;
    ensure!(
        complete == 2 * ORDERS_OF_AN_ACCOUNT,
        "{complete} orders are complete"
    );
    cost.context("nothing was measured")
}

async fn count(fixture: &Fixture, wire: &Wire, investor: &Investor) -> Result<RoundTrips> {
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.clear_calls();
    let (failed, trips) = wire.round_trips(fixture.work_on(&investor.tester)).await?;
    ensure!(failed.is_empty(), "the message failed");
    let calls = drivewealth.calls().len();
    Ok(RoundTrips { calls, trips })
}

/// A customer with three orders that are due.
async fn investor_with_orders(fixture: &Fixture, [first, second, new]: [i64; 3]) -> Result<Investor> {
    let investor = fixture.investor_in(first, second).await?;
    for (collection, cents) in [(first, -50_000), (second, 100_000), (new, 50_000)] {
        fixture.waiting_order(&investor.tester, collection, cents).await?;
    }
    Ok(investor)
}

async fn newest(fixture: &Fixture) -> Result<i64> {
    let newest = "SELECT COALESCE(max(id), 0) FROM trading_collection_versions WHERE $1 = 0";
    fixture.database.count(newest, 0).await
}

async fn until(fixture: &Fixture, sql: &'static str, after: i64, expected: i64) -> Result {
    let begun = Instant::now();
    loop {
        let count = fixture.database.count(sql, after).await?;
        if count == expected {
            return Ok(());
        }
        ensure!(begun.elapsed() < LIMIT, "{count} of {expected} orders are there");
        sleep(LOOK).await;
    }
}

/// Seconds for the round trips of all accounts and nothing else: so many calls of the same sandbox that read an account, and
/// so many statements to the same database that do nothing, of as many accounts at the same time.
async fn bare(fixture: &Fixture, account: &str, cost: &RoundTrips) -> Result<f64> {
    let url = format!("{}/drivewealth", fixture.cloud.sandboxes_url());
    let http = local_cloud::http_client()?;
    let sign_in = json!({
        "appTypeID": 4, "username": DRIVEWEALTH_USERNAME, "password": DRIVEWEALTH_PASSWORD,
    });
    let session = http
        .post(format!("{url}/auth"))
        .json(&sign_in)
        .header("dw-client-app-key", DRIVEWEALTH_APP_KEY);
    let session: Value = session.send().await?.error_for_status()?.json().await?;
    let token = session
        .pointer("/authToken")
        .and_then(Value::as_str)
        .context("no token")?
        .to_owned();
    let begun = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (http, token, calls, trips) = (http.clone(), token.clone(), cost.calls, cost.trips);
        let (url, database) = (
            format!("{url}/accounts/{account}"),
            fixture.cloud.database_url().to_owned(),
        );
        lanes.spawn(async move {
            let mut connection = PgConnection::connect(&database).await?;
            for _ in 0..ACCOUNTS / AT_ONCE {
                for _ in 0..calls {
                    let call = http.get(&url).header("dw-client-app-key", DRIVEWEALTH_APP_KEY);
                    call.header("dw-auth-token", &token)
                        .send()
                        .await?
                        .error_for_status()?
                        .bytes()
                        .await?;
                }
                for _ in 0..trips {
                    sqlx::query("SELECT 1").execute(&mut connection).await?;
                }
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    Ok(begun.elapsed().as_secs_f64())
}
