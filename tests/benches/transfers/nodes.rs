//! Deferred transfers over one, two and three nodes, beside immediate ones and the ledger on one: processor time of all servers
//! for a whole transfer, and how long one takes from its debit to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use domain::ids::{ClientId, WalletId};
use futures::future::{try_join, try_join_all};
use local_cloud::LocalCloud;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use rand::Rng;
use sqlx::PgPool;
use wallets::client::access::Mover;
use wallets::transfer::{TransferRequest, Transfers};
use wallets::transfer_order::TransferOrders;

use crate::load::{SECONDS, Spread};
use crate::ours::{AMOUNT, caller, key};
use crate::pgbench::{Pgbench, Script};
use crate::processor::Server;
use crate::{Cost, ROUNDS, ratio};

/// How many nodes there are.
pub(crate) const NODES: u16 = 3;
/// Of each node.
const WALLETS: u32 = 100_000;
const CALLERS: usize = 20;
/// The space of a node's ids.
const IDS_OF_NODE: i64 = 1 << 40;
/// How many transfers a second are asked for where it is measured how long one takes: about a third of what all can do.
const PACE: u64 = 400;
/// The settlement looks again after this when it found nothing; in AWS each debit wakes it.
const LOOKS_AGAIN_AFTER: Duration = Duration::from_millis(2);
/// A run of it ends by itself before this.
const RUN: Duration = Duration::from_secs(60);

/// Who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receivers {
    /// Anybody, wherever he lives.
    Spread,
    /// The same one by all.
    One,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Case {
    title: &'static str,
    /// None of them where both sides are made at once.
    deferred_over: usize,
    receivers: Receivers,
}

const CASES: [Case; 6] = [
    Case {
        title: "immediate",
        deferred_over: 0,
        receivers: Receivers::Spread,
    },
    Case {
        title: "deferred",
        deferred_over: 1,
        receivers: Receivers::Spread,
    },
    Case {
        title: "deferred",
        deferred_over: 2,
        receivers: Receivers::Spread,
    },
    Case {
        title: "deferred",
        deferred_over: 3,
        receivers: Receivers::Spread,
    },
    Case {
        title: "immediate, one receiver for all",
        deferred_over: 0,
        receivers: Receivers::One,
    },
    Case {
        title: "deferred, one receiver for all",
        deferred_over: 1,
        receivers: Receivers::One,
    },
];

/// A row of the table.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    cost: Cost,
    ledger: Cost,
    /// From the debit to the end of the transfer, where transfers are asked for at [`PACE`].
    median: Duration,
    slowest: Duration,
    paced: u64,
}

/// The databases of the nodes.
struct Nodes {
    urls: Vec<String>,
    pools: Vec<PgPool>,
    servers: Vec<Server>,
}

impl Nodes {
    async fn of(cloud: &LocalCloud) -> anyhow::Result<Self> {
        let urls = cloud.wallet_node_urls();
        let pools = try_join_all(urls.iter().map(|url| crate::pool(url))).await?;
        let mut servers = Vec::new();
        for pool in &pools {
            servers.push(Server::of(pool).await?);
        }
        Ok(Self { urls, pools, servers })
    }

    /// Clients of each node with a wallet each, of the same number.
    async fn seed(&self) -> anyhow::Result<()> {
        for (node, pool) in self.pools.iter().enumerate() {
            let first = i64::try_from(node)? * IDS_OF_NODE;
            for table in [
                "INSERT INTO clients (client_id) SELECT $1 + n FROM generate_series(1, $2) AS n ON CONFLICT DO NOTHING",
                "INSERT INTO wallets (client_id, id, currency, balance) \
                 SELECT $1 + n, $1 + n, 840, 1000000000000 FROM generate_series(1, $2) AS n ON CONFLICT DO NOTHING",
            ] {
                let seeding = sqlx::query(table).bind(first).bind(i32::try_from(WALLETS)?);
                seeding.execute(pool).await?;
            }
            for table in ["clients", "wallets"] {
                let vacuum = format!("VACUUM ANALYZE {table}");
                sqlx::raw_sql(sqlx::AssertSqlSafe(vacuum)).execute(pool).await?;
            }
        }
        Ok(())
    }

    fn micros(&self) -> anyhow::Result<u64> {
        self.servers.iter().map(|server| server.micros()).sum()
    }

    /// Connections of one caller to so many of them.
    fn databases(&self, nodes: usize) -> anyhow::Result<Vec<Database>> {
        let urls = self.urls.iter().take(nodes);
        urls.map(|url| Ok(Database::at(url)?)).collect()
    }

    async fn orders(&self) -> anyhow::Result<i64> {
        let count = |pool| sqlx::query_scalar("SELECT count(*) FROM transfer_orders").fetch_one(pool);
        let counts: Vec<i64> = try_join_all(self.pools.iter().map(count)).await?;
        Ok(counts.iter().sum())
    }

    /// How long half of the transfers took from debit to end at most, and 95 of 100, of those debited since a time.
    async fn times(&self, since: chrono::DateTime<chrono::Utc>) -> anyhow::Result<(Duration, Duration)> {
        let mut micros = Vec::new();
        for pool in &self.pools {
            let taken: Vec<i64> = sqlx::query_scalar(
                "SELECT (extract(epoch FROM updated_at - created_at) * 1000000)::BIGINT FROM payments \
                 WHERE payment_type = 3 AND amount < 0 AND created_at >= $1",
            )
            .bind(since)
            .fetch_all(pool)
            .await?;
            micros.extend(taken.into_iter().filter_map(|micros| u64::try_from(micros).ok()));
        }
        micros.sort_unstable();
        let part = |percent: usize| {
            let place = (micros.len().saturating_sub(1) * percent).div_ceil(100);
            Duration::from_micros(micros.get(place).copied().unwrap_or_default())
        };
        Ok((part(50), part(95)))
    }
}

/// Measures all cases in turn, and prints them.
pub(crate) async fn measure(cloud: &LocalCloud) -> anyhow::Result<()> {
    let nodes = Nodes::of(cloud).await?;
    ensure!(nodes.urls.len() == usize::from(NODES), "not all nodes are there");
    nodes.seed().await?;
    let own = nodes.pools.first().context("no node")?;
    sqlx::raw_sql(include_str!("ledger_tables.sql"))
        .execute(own)
        .await?;
    sqlx::raw_sql("VACUUM ANALYZE ledger_accounts")
        .execute(own)
        .await?;
    let pgbench = Pgbench::new(cloud.database_url())?;
    // The first call of all connects, and fills the servers' caches.
    for case in CASES {
        run(&nodes, case, None).await?;
    }
    let mut rows = [Row::default(); CASES.len()];
    for _ in 0..ROUNDS {
        for (case, row) in CASES.into_iter().zip(&mut rows) {
            let measured = run(&nodes, case, None).await?;
            row.cost.rate += measured.rate / ROUNDS;
            row.cost.micros += measured.micros / ROUNDS;
            let of_ledger = crate::load(WALLETS, Spread::Even, u32::try_from(CALLERS)?);
            let before = nodes.micros()?;
            let rate = pgbench.run(Script::Ledger, of_ledger).await?;
            row.ledger.micros += (nodes.micros()? - before) / (rate * SECONDS).max(1) / ROUNDS;
            row.ledger.rate += rate / ROUNDS;
        }
    }
    for (case, row) in CASES.into_iter().zip(&mut rows) {
        if case.deferred_over > 0 {
            let since = chrono::Utc::now();
            row.paced = run(&nodes, case, Some(PACE)).await?.rate;
            (row.median, row.slowest) = nodes.times(since).await?;
        }
    }
    print(&rows);
    Ok(())
}

/// Pays for [`SECONDS`] by all callers, as fast as they can or at a pace, and until nothing is on its way.
async fn run(nodes: &Nodes, case: Case, pace: Option<u64>) -> anyhow::Result<Cost> {
    let before = nodes.micros()?;
    let begun = Instant::now();
    let paid = match case.deferred_over {
        0 => pay(nodes, case, pace).await?,
        over => {
            let is_over = AtomicBool::new(false);
            let paying = async {
                let paid = pay(nodes, case, pace).await;
                is_over.store(true, Ordering::Relaxed);
                paid
            };
            let (paid, ()) = try_join(paying, settle(nodes, over, &is_over)).await?;
            ensure!(nodes.orders().await? == 0, "transfers were left on their way");
            paid
        }
    };
    let millis = u64::try_from(begun.elapsed().as_millis())?;
    Ok(Cost {
        rate: paid * 1000 / millis.max(1),
        micros: (nodes.micros()? - before) / paid.max(1),
    })
}

/// Settles what the callers leave until they have ended and nothing is left.
async fn settle(nodes: &Nodes, over: usize, is_over: &AtomicBool) -> anyhow::Result<()> {
    let orders =
        TransferOrders::at_nodes(nodes.databases(over)?, ClockHandle::system()).context("no node")?;
    loop {
        // Before the run: what was debited until then is seen by it.
        let was_over = is_over.load(Ordering::Relaxed);
        let report = orders.run(Deadline::after(RUN)).await?;
        ensure!(report.failed == 0 && report.refused == 0, "{report:?}");
        if report.settled == 0 {
            if was_over {
                return Ok(());
            }
            tokio::time::sleep(LOOKS_AGAIN_AFTER).await;
        }
    }
}

/// Gives how many transfers were made.
async fn pay(nodes: &Nodes, case: Case, pace: Option<u64>) -> anyhow::Result<u64> {
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let pause =
        pace.map(|pace| Duration::from_micros(1_000_000 * u64::try_from(CALLERS).unwrap_or(1) / pace));
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let transfers = match case.deferred_over {
            0 => Transfers::at(nodes.databases(1)?.remove(0), ClockHandle::system()),
            over => Transfers::deferred_at_nodes(nodes.databases(over)?, ClockHandle::system())
                .context("no node")?,
        };
        let transfers = Arc::new(transfers);
        callers.push(tokio::spawn(async move {
            let mut paid = 0;
            let mut next = Instant::now();
            while next.max(Instant::now()) < end {
                tokio::time::sleep_until(next.into()).await;
                next += pause.unwrap_or_default();
                let (payer, transfer) = order(case)?;
                let (mover, key) = (Mover::service(caller(), payer), key()?);
                transfers.transfer(mover, &key, transfer).await?;
                paid += 1;
            }
            anyhow::Ok(paid)
        }));
    }
    let mut paid = 0;
    for caller in try_join_all(callers).await? {
        paid += caller?;
    }
    Ok(paid)
}

/// A payer of any node pays a receiver of any node.
fn order(case: Case) -> anyhow::Result<(ClientId, TransferRequest)> {
    let nodes = i64::try_from(case.deferred_over.max(1))?;
    let mut random = rand::rng();
    let mut client =
        || random.random_range(0..nodes) * IDS_OF_NODE + random.random_range(2..=i64::from(WALLETS));
    let payer = client();
    let receiver = match case.receivers {
        Receivers::One => 1,
        Receivers::Spread => loop {
            let receiver = client();
            if receiver != payer {
                break receiver;
            }
        },
    };
    let transfer = TransferRequest {
        wallet_id: WalletId::new(payer).context("no wallet")?,
        receiver_client_id: ClientId::new(receiver).context("no receiver")?,
        receiver_currency: None,
        amount: Some(AMOUNT),
        receiver_amount: None,
    };
    Ok((ClientId::new(payer).context("no payer")?, transfer))
}

fn print(rows: &[Row]) {
    println!(
        "\nWhole transfers, credit and settlement included, over {WALLETS} wallets of each node, {CALLERS} callers with a \
         connection to each node:\n"
    );
    println!(
        "| | nodes | transfers/s | µs | to immediate's µs | at {PACE}/s: kept | debit → done p50 | p95 | ledger/s | µs | ours to it |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let immediate = rows.first().map_or(0, |row| row.cost.micros);
    for (case, row) in CASES.iter().zip(rows) {
        let (kept, median, slowest) = match case.deferred_over {
            0 => Default::default(),
            _ => (
                format!("{}/s", row.paced),
                crate::milliseconds(row.median),
                crate::milliseconds(row.slowest),
            ),
        };
        println!(
            "| {} | {} | {} | {} | {} | {kept} | {median} | {slowest} | {} | {} | {} |",
            case.title,
            case.deferred_over.max(1),
            row.cost.rate,
            row.cost.micros,
            ratio(row.cost.micros, immediate),
            row.ledger.rate,
            row.ledger.micros,
            ratio(row.cost.rate, row.ledger.rate)
        );
    }
    println!(
        "\nµs: processor time of all nodes' servers for each transfer; the ledger is on the first node alone."
    );
}
