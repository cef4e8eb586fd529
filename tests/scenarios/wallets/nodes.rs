//! Wallets over three nodes, each a PostgreSQL of its own: a client lives on one of them, transfers go from node to node, and
//! whatever becomes of a node, nobody's money is lost or there twice.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, bail, ensure};
use end_to_end::points::seed;
use end_to_end::wallets::{WalletClient, new_key};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, is_soak, scenarios, send_until_answered};
use futures::future::{join_all, try_join, try_join_all};
use local_cloud::Options;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::books;
use crate::deferred::settle;
use crate::transfers::{mirrored, sides};

const NODES: u16 = 3;
const STOCK: i64 = 1_000_000;
/// How long a node's id space is: what is above it in an id is the node.
const IDS_OF_NODE: i64 = 1 << 40;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        transfer_between_nodes_is_a_payment_on_each,
        one_side_that_is_gone_is_found_from_another_node,
        alone(node_that_is_down_stops_its_own_clients_alone),
        alone(transfers_outlive_crashes_of_nodes),
    ]
}

pub(crate) fn options() -> Options {
    Options {
        wallet_nodes: NODES,
        ..end_to_end::options()
    }
}

/// The databases of the nodes, as their owner sees them.
struct Nodes(Vec<PgPool>);

impl Nodes {
    fn of(fixture: &Fixture) -> Result<Self> {
        let pool = |url: &String| Ok(PgPoolOptions::new().max_connections(2).connect_lazy(url)?);
        Ok(Self(
            fixture
                .cloud
                .wallet_node_urls()
                .iter()
                .map(pool)
                .collect::<Result<_>>()?,
        ))
    }

    /// A number, at each node.
    async fn numbers(&self, sql: &'static str, transaction: Uuid) -> Result<Vec<i64>> {
        let number = |pool| sqlx::query_scalar(sql).bind(transaction).fetch_one(pool);
        Ok(try_join_all(self.0.iter().map(number)).await?)
    }

    /// How many transfers are on their way.
    async fn orders(&self) -> Result<i64> {
        let count = |pool| sqlx::query_scalar("SELECT count(*) FROM transfer_orders").fetch_one(pool);
        Ok(try_join_all(self.0.iter().map(count)).await?.iter().sum())
    }
}

fn node_of(client: &WalletClient) -> Result<usize> {
    Ok(usize::try_from(client.id / IDS_OF_NODE)?)
}

/// A new client of each node. A node may have been down a moment ago, so that a function's session with it is gone.
async fn one_of_each(fixture: &Fixture, balance: i64) -> Result<Vec<WalletClient>> {
    let mut found: BTreeMap<usize, WalletClient> = BTreeMap::new();
    for _ in 0..200 {
        let name = new_key();
        let registered = eventually("a client is registered", async || {
            fixture.register_client(&name, &["USD"]).await
        });
        let (client, _) = registered.await?;
        let node = node_of(&client)?;
        ensure!(node < usize::from(NODES), "client {} lives nowhere", client.id);
        if let Entry::Vacant(place) = found.entry(node) {
            if balance > 0 {
                recharge(&client, balance).await?;
            }
            place.insert(client);
        }
        if found.len() == usize::from(NODES) {
            return Ok(found.into_values().collect());
        }
    }
    bail!(
        "of 200 clients none lives on one of the nodes; they have {:?}",
        found.keys()
    )
}

async fn recharge(client: &WalletClient, amount: i64) -> Result {
    let (key, body) = (
        new_key(),
        json!({ "wallet_id": client.wallet("USD")?, "amount": amount }),
    );
    let path = client.path("recharges");
    let answer = send_until_answered("a recharge", async || {
        client.service.post(&path, &key, &body).await
    });
    answer.await?.expect(201)?;
    Ok(())
}

fn transaction_of(payment: &Value) -> Result<Uuid> {
    Ok(payment["transaction_id"]
        .as_str()
        .context("no transaction")?
        .parse()?)
}

async fn arrives(payer: &WalletClient, receiver: &WalletClient, made: &Value) -> Result {
    eventually("both sides are done", async || {
        let (paid, received) = sides(payer, receiver, &made["transaction_id"]).await?;
        mirrored(&paid, &received)
    })
    .await
}

async fn transfer_between_nodes_is_a_payment_on_each(fixture: Arc<Fixture>) -> Result {
    let nodes = Nodes::of(&fixture)?;
    let (payers, receivers) = try_join(one_of_each(&fixture, STOCK), one_of_each(&fixture, 0)).await?;
    for (from, payer) in payers.iter().enumerate() {
        for (to, receiver) in receivers.iter().enumerate() {
            let made = payer
                .pay("USD", receiver, json!({ "amount": 100 }))
                .await?
                .expect(202)?;
            arrives(payer, receiver, &made.body).await?;
            let transaction = transaction_of(&made.body)?;
            let mut expected = vec![0; usize::from(NODES)];
            expected[from] += 1;
            expected[to] += 1;
            let payments = "SELECT count(*) FROM payments WHERE transaction_id = $1";
            ensure_eq!(
                nodes.numbers(payments, transaction).await?,
                expected,
                "from {from} to {to}"
            );
            // Each node's outbox is published.
            let mut told = vec![0; usize::from(NODES)];
            told[from] += 1;
            told[to] += 1;
            let published = "SELECT count(*) FROM outbox_messages AS message JOIN payments AS payment \
                             ON payment.client_id = message.source_key AND payment.id = message.source_id \
                             WHERE payment.transaction_id = $1 AND message.published_at IS NOT NULL";
            eventually("both are told", async || {
                ensure_eq!(nodes.numbers(published, transaction).await?, told);
                Ok(())
            })
            .await?;
        }
    }
    for client in &payers {
        ensure_eq!(client.balance("USD").await?, STOCK - 300);
    }
    for client in &receivers {
        ensure_eq!(client.balance("USD").await?, 300);
    }
    Ok(())
}

async fn one_side_that_is_gone_is_found_from_another_node(fixture: Arc<Fixture>) -> Result {
    let nodes = Nodes::of(&fixture)?;
    let clients = one_of_each(&fixture, STOCK).await?;
    let (payer, receiver) = (&clients[1], &clients[2]);
    let made = payer
        .pay("USD", receiver, json!({ "amount": 100 }))
        .await?
        .expect(202)?;
    arrives(payer, receiver, &made.body).await?;
    let gone = "DELETE FROM payments WHERE client_id = $1 AND payment_type = 3";
    // Its event is read from it.
    eventually("it is told", async || {
        let sql = "SELECT count(*) FROM outbox_messages WHERE source_key = $1 AND published_at IS NULL";
        let untold: i64 = sqlx::query_scalar(sql)
            .bind(receiver.id)
            .fetch_one(&nodes.0[2])
            .await?;
        ensure_eq!(untold, 0);
        Ok(())
    })
    .await?;
    books::tamper(&nodes.0[2], gone, receiver.id).await?;
    books::reconcile(&fixture).await?;
    let kinds = "SELECT kind FROM wallet_differences WHERE client_id = $1";
    let found: Vec<String> = sqlx::query_scalar(kinds)
        .bind(payer.id)
        .fetch_all(&nodes.0[1])
        .await?;
    ensure_eq!(found, ["one-sided"]);
    Ok(())
}

async fn node_that_is_down_stops_its_own_clients_alone(fixture: Arc<Fixture>) -> Result {
    let clients = one_of_each(&fixture, STOCK).await?;
    let (here, down, there) = (&clients[0], &clients[1], &clients[2]);
    let stranger = &one_of_each(&fixture, 0).await?[1];
    let order = json!({ "amount": 100 });
    // From now on it is known what wallets it has.
    let made = here.pay("USD", down, order.clone()).await?.expect(202)?;
    arrives(here, down, &made.body).await?;

    fixture.cloud.crash_wallet_node(1).await?;
    down.pay("USD", here, order.clone())
        .await?
        .expect_problem(503, "unavailable")?;
    down.api
        .get(&down.path("wallets"))
        .await?
        .expect_problem(503, "unavailable")?;
    here.pay("USD", stranger, order.clone())
        .await?
        .expect_problem(503, "unavailable")?;
    let waits = here.pay("USD", down, order.clone()).await?.expect(202)?;
    for (payer, receiver) in [(here, there), (there, here)] {
        let made = payer.pay("USD", receiver, order.clone()).await?.expect(202)?;
        arrives(payer, receiver, &made.body).await?;
    }
    settle(&fixture).await?;
    let pending = here
        .api
        .get(&here.path("payments?status=pending"))
        .await?
        .expect(200)?;
    ensure_eq!(pending.body["items"], json!([waits.body]));
    ensure_eq!(here.balance("USD").await?, STOCK - 200);

    fixture.cloud.start_wallet_node(1).await?;
    eventually("the transfer that waited is settled", async || {
        settle(&fixture).await?;
        let (paid, received) = sides(here, down, &waits.body["transaction_id"]).await?;
        mirrored(&paid, &received)
    })
    .await?;
    ensure_eq!(down.balance("USD").await?, STOCK + 200);
    down.pay("USD", here, order).await?.expect(202)?;
    Ok(())
}

/// How much there is: a sample in `make test`, more in `make soak`.
struct Extent {
    crashes: usize,
    /// Transfers that are accepted before each crash.
    before: usize,
    /// Transfers that are accepted while the node is down.
    during: usize,
}

fn extent() -> Extent {
    if is_soak() {
        Extent {
            crashes: 60,
            before: 100,
            during: 50,
        }
    } else {
        Extent {
            crashes: 4,
            before: 20,
            during: 10,
        }
    }
}

const CLIENTS_OF_NODE: usize = 5;
const WORKERS_OF_NODE: usize = 3;
/// So many requests without an answer are kept; then those are sent again before new ones.
const MAX_OPEN: usize = 8;

/// A transfer that is asked for, again and again under its key until it is answered.
#[derive(Clone)]
struct Asked {
    key: String,
    payer: usize,
    receiver: usize,
    amount: i64,
}

/// Who pays whom, and what has been answered.
struct Play {
    clients: Vec<WalletClient>,
    /// By node: those whose clients live there.
    by_node: Vec<Vec<usize>>,
    accepted: AtomicUsize,
    is_over: AtomicBool,
}

impl Play {
    async fn send(&self, asked: &Asked) -> Result<Option<Uuid>> {
        let (payer, receiver) = (&self.clients[asked.payer], &self.clients[asked.receiver]);
        let order = json!({ "amount": asked.amount });
        let answer = payer.pay_under(&asked.key, "USD", receiver, order).await?;
        match answer.status {
            // Accepted, or settled meanwhile.
            201 | 202 => Ok(Some(transaction_of(&answer.body)?)),
            503 => Ok(None),
            409 if answer.body["code"] == "request-in-flight" => Ok(None),
            status => bail!("a transfer is answered with {status} {}", answer.text),
        }
    }

    /// Pays from clients of one node to anybody until it is over; gives each transaction once with what was asked.
    async fn work(&self, node: usize, mut random: StdRng) -> Result<Vec<(Uuid, Asked)>> {
        let mut open: Vec<Asked> = Vec::new();
        let mut done = Vec::new();
        loop {
            let is_over = self.is_over.load(Ordering::Relaxed);
            let again = is_over || open.len() >= MAX_OPEN || random.random_ratio(1, 4);
            let asked = match open.len() {
                0 if is_over => return Ok(done),
                0 => self.new_request(node, &mut random)?,
                waiting if again => open.swap_remove(random.random_range(0..waiting)),
                _ => self.new_request(node, &mut random)?,
            };
            match self.send(&asked).await? {
                Some(transaction) => {
                    done.push((transaction, asked));
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                }
                None => open.push(asked),
            }
        }
    }

    fn new_request(&self, node: usize, random: &mut StdRng) -> Result<Asked> {
        let payers = self.by_node.get(node).context("no such node")?;
        let payer = payers[random.random_range(0..payers.len())];
        let step = random.random_range(1..self.clients.len());
        Ok(Asked {
            key: new_key(),
            payer,
            receiver: (payer + step) % self.clients.len(),
            amount: random.random_range(1..=500),
        })
    }

    async fn more_are_accepted(&self, more: usize) -> Result {
        let aim = self.accepted.load(Ordering::Relaxed) + more;
        eventually("transfers go on", async || {
            let accepted = self.accepted.load(Ordering::Relaxed);
            ensure!(accepted >= aim, "{accepted} of {aim}");
            Ok(())
        })
        .await
    }

    async fn crash_nodes(&self, fixture: &Fixture, mut random: StdRng) -> Result {
        let Extent {
            crashes,
            before,
            during,
        } = extent();
        for _ in 0..crashes {
            self.more_are_accepted(before).await?;
            let node = random.random_range(0..usize::from(NODES));
            fixture.cloud.crash_wallet_node(node).await?;
            let went_on = self.more_are_accepted(during).await;
            fixture.cloud.start_wallet_node(node).await?;
            went_on.with_context(|| format!("while node {node} was down"))?;
        }
        Ok(())
    }
}

/// Nodes end in the middle of everything and come back; whoever got no answer asks again under his key.
async fn transfers_outlive_crashes_of_nodes(fixture: Arc<Fixture>) -> Result {
    let seed = seed()?;
    play(&fixture, seed)
        .await
        .with_context(|| format!("with MONETA_SEED={seed}"))
}

async fn play(fixture: &Fixture, seed: u64) -> Result {
    let nodes = Nodes::of(fixture)?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS_OF_NODE {
        clients.extend(one_of_each(fixture, STOCK).await?);
    }
    // One on each node that is full but for a little: most of what comes to it is refused, and goes back.
    let full = one_of_each(fixture, i64::MAX - 1_000).await?;
    clients.extend(full);
    let mut by_node = vec![Vec::new(); usize::from(NODES)];
    for (place, client) in clients.iter().enumerate() {
        by_node[node_of(client)?].push(place);
    }
    // The full ones only receive.
    for payers in &mut by_node {
        payers.pop();
    }
    let play = Play {
        clients,
        by_node,
        accepted: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    let mut seeds = StdRng::seed_from_u64(seed);
    let crashes = StdRng::seed_from_u64(seeds.random());
    let workers: Vec<_> = (0..usize::from(NODES) * WORKERS_OF_NODE)
        .map(|worker| play.work(worker % usize::from(NODES), StdRng::seed_from_u64(seeds.random())))
        .collect();
    let crashing = async {
        let outcome = play.crash_nodes(fixture, crashes).await;
        play.is_over.store(true, Ordering::Relaxed);
        outcome
    };
    let (answered, crashed) = futures::future::join(join_all(workers), crashing).await;
    crashed?;
    let mut asked = BTreeMap::new();
    for of_worker in answered {
        for (transaction, one) in of_worker? {
            ensure!(
                asked.insert(transaction, one).is_none(),
                "two keys have transaction {transaction}"
            );
        }
    }
    eventually("nothing is on its way", async || {
        settle(fixture).await?;
        ensure_eq!(nodes.orders().await?, 0, "orders");
        Ok(())
    })
    .await?;
    check(fixture, &nodes, &play, &asked).await
}

/// A side of a transfer, and the node that has it.
#[derive(Debug, sqlx::FromRow)]
struct Side {
    transaction_id: Uuid,
    client_id: i64,
    partner_client_id: i64,
    amount: i64,
    partner_amount: i64,
    payment_status: i16,
}

const PENDING: i16 = 1;
const FAILED: i16 = 3;

async fn check(fixture: &Fixture, nodes: &Nodes, play: &Play, asked: &BTreeMap<Uuid, Asked>) -> Result {
    let ids: Vec<i64> = play.clients.iter().map(|client| client.id).collect();
    let (mut payers, mut receivers) = (BTreeMap::new(), BTreeMap::new());
    let (mut money, mut events) = (0_i128, 0);
    for (node, pool) in nodes.0.iter().enumerate() {
        let sides: Vec<Side> = sqlx::query_as(
            "SELECT transaction_id, client_id, partner_client_id, amount, partner_amount, payment_status FROM payments \
             WHERE client_id = ANY ($1) AND payment_type = 3",
        )
        .bind(&ids)
        .fetch_all(pool)
        .await?;
        for side in sides {
            ensure_eq!(
                side.client_id / IDS_OF_NODE,
                i64::try_from(node)?,
                "{side:?} is on another node"
            );
            ensure!(side.payment_status != PENDING, "{side:?} is on its way");
            let by = if side.amount < 0 {
                &mut payers
            } else {
                &mut receivers
            };
            let twice = by.insert(side.transaction_id, side);
            ensure!(twice.is_none(), "twice: {twice:?}");
        }
        let balances: Vec<i64> = sqlx::query_scalar("SELECT balance FROM wallets WHERE client_id = ANY ($1)")
            .bind(&ids)
            .fetch_all(pool)
            .await?;
        money += balances.into_iter().map(i128::from).sum::<i128>();
        let of_transfers =
            "SELECT count(*) FROM outbox_messages WHERE source_key = ANY ($1) AND kind LIKE 'transfer.%'";
        let of_node: i64 = sqlx::query_scalar(of_transfers)
            .bind(&ids)
            .fetch_one(pool)
            .await?;
        events += usize::try_from(of_node)?;
    }
    let told: BTreeSet<&Uuid> = asked.keys().collect();
    ensure_eq!(
        payers.keys().collect::<BTreeSet<_>>(),
        told,
        "what was accepted is what was paid"
    );
    for (transaction, one) in asked {
        let side = payers.get(transaction).context("not paid")?;
        let (payer, receiver) = (play.clients[one.payer].id, play.clients[one.receiver].id);
        ensure_eq!(
            (side.client_id, side.partner_client_id, side.amount),
            (payer, receiver, -one.amount)
        );
        let mirror = receivers.remove(transaction);
        ensure_eq!(
            mirror.is_none(),
            side.payment_status == FAILED,
            "one-sided: {side:?}, {mirror:?}"
        );
        if let Some(other) = mirror {
            ensure_eq!(
                (
                    other.client_id,
                    other.partner_client_id,
                    other.amount,
                    other.partner_amount
                ),
                (receiver, payer, one.amount, side.amount)
            );
        }
    }
    ensure!(receivers.is_empty(), "received and not paid: {receivers:?}");
    let failed = payers
        .values()
        .filter(|side| side.payment_status == FAILED)
        .count();
    ensure!(
        failed > 0 && failed < asked.len(),
        "{failed} of {} were refused",
        asked.len()
    );
    ensure_eq!(events, 2 * asked.len() - failed, "each side is told once");
    let nodes = i128::from(NODES);
    let brought =
        i128::try_from(CLIENTS_OF_NODE)? * nodes * i128::from(STOCK) + nodes * i128::from(i64::MAX - 1_000);
    ensure_eq!(money, brought, "money");
    let report = books::reconcile(fixture).await?;
    // What the scenario before this one has planted is found again.
    ensure_eq!(
        (report["clients_left"].clone(), report["new_differences"].clone()),
        (json!(0), json!(0))
    );
    Ok(())
}
