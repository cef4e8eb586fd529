//! Traders with funded accounts, and a trading engine that says what becomes of them.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use chrono::Utc;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};

use crate::{Answer, Api, Fixture, Result, eventually};

/// The topic of the trading engine.
pub const POSITIONS: &str = "funded-account.positions";
/// The topic of the assessment system.
pub const ASSESSMENTS: &str = "assessment.completed";
/// The tier that traders have unless another is named: $100,000, 80 %, and a drawdown of 10 % from the peak.
pub const TIER: &str = "standard-100k";

/// So many records are with the broker before the first of them is waited for.
const ON_THEIR_WAY: usize = 10_000;

static NEXT_USER: AtomicI64 = AtomicI64::new(1);

/// A trader.
#[derive(Debug, Clone)]
pub struct Trader {
    /// The `user_id` of the token.
    pub user_id: i64,
    /// With the trader's token.
    pub api: Api,
    /// The newest account.
    pub account: i64,
    /// The newest withdrawal; 0 before the first.
    pub withdrawal: i64,
}

/// A user whom nobody knows yet.
pub fn next_user() -> i64 {
    NEXT_USER.fetch_add(1, Ordering::SeqCst)
}

/// The numbers of [`TIER`].
pub fn tier() -> Value {
    json!({
        "name": "Standard 100k", "starting_balance_cents": 10_000_000, "profit_split": "0.8", "max_drawdown": "0.05",
        "max_risk_per_trade": "0.02", "min_trades": 10, "drawdown_kind": "trailing",
    })
}

/// A snapshot of a flat account.
pub fn flat(account: i64, sequence: i64, balance: i64) -> Value {
    json!({
        "accountId": account, "epoch": 0, "sequence": sequence, "at": Utc::now(), "balance": balance, "unrealizedPnl": 0,
        "realizedPnl": balance - 10_000_000, "positions": [],
    })
}

/// A snapshot with an open position of so much profit, whose stop risks $100.
pub fn open(account: i64, sequence: i64, balance: i64, unrealized: i64) -> Value {
    let mut snapshot = flat(account, sequence, balance);
    snapshot["unrealizedPnl"] = json!(unrealized);
    snapshot["positions"] = json!([{
        "symbol": "EURUSD", "side": "long", "quantity": 0.5, "marketValue": 540_000, "riskAtStop": 10_000,
    }]);
    snapshot
}

/// Sends records, each with its key, to a topic, in their order.
///
/// # Errors
/// When the broker doesn't take one.
pub async fn send_records(brokers: &str, topic: &str, records: &[(String, String)]) -> Result {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .create()?;
    for some in records.chunks(ON_THEIR_WAY) {
        let mut sent = Vec::with_capacity(some.len());
        for (key, value) in some {
            let record = FutureRecord::to(topic).key(key).payload(value);
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        for taken in sent {
            taken.await?.map_err(|(error, _)| error)?;
        }
    }
    Ok(())
}

/// What an engine makes of an account: a price that wanders, a position that is opened and closed, a snapshot a tick. The
/// same account always has the same day.
#[derive(Debug)]
pub struct Market {
    account: i64,
    seed: u64,
    epoch: i64,
    sequence: i64,
    balance: i64,
    /// What the open position has gained so far.
    open: Option<i64>,
    held_back: Option<Value>,
}

/// Snapshots of an epoch.
const EPOCH: i64 = 120;
/// The most that a tick moves, in cents.
const MAX_MOVE: i64 = 60_000;

impl Market {
    /// A flat account of $100,000.
    pub fn of(account: i64) -> Self {
        Self {
            account,
            seed: account.unsigned_abs(),
            epoch: 0,
            sequence: 0,
            balance: 10_000_000,
            open: None,
            held_back: None,
        }
    }

    /// A number below `end`, by a generator of Knuth's.
    fn below(&mut self, end: i64) -> i64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.seed >> 33).unwrap_or_default().rem_euclid(end)
    }

    /// The snapshots of a tick, as the network delivers them: mostly one, and now and then one twice or the one before late.
    pub fn tick(&mut self) -> Vec<Value> {
        self.sequence += 1;
        if self.sequence > EPOCH {
            (self.epoch, self.sequence) = (self.epoch + 1, 0);
        }
        let moved = self.below(2 * MAX_MOVE + 1) - MAX_MOVE;
        self.open = match (self.open, self.below(5)) {
            (None, 0..=2) => Some(0),
            (Some(profit), 0) => {
                self.balance += profit;
                None
            }
            (Some(profit), _) => Some(profit + moved),
            (None, _) => None,
        };
        let mut snapshot = match self.open {
            Some(profit) => open(self.account, self.sequence, self.balance, profit),
            None => flat(self.account, self.sequence, self.balance),
        };
        snapshot["epoch"] = json!(self.epoch);
        match (self.held_back.take(), self.below(10)) {
            (None, 0) => {
                self.held_back = Some(snapshot);
                Vec::new()
            }
            (None, 1) => vec![snapshot.clone(), snapshot],
            (late, _) => std::iter::once(snapshot).chain(late).collect(),
        }
    }
}

impl Fixture {
    /// Puts a tier.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn put_tier(&self, id: &str, tier: &Value) -> Result<Answer> {
        let api = self.api(Some(json!({ "scope": "internal" })))?;
        api.put(&format!("/tiers/{id}"), tier).await
    }

    /// Sends records to a topic, in their order.
    ///
    /// # Errors
    /// When the broker doesn't take one.
    pub async fn send_records(&self, topic: &str, records: &[(String, String)]) -> Result {
        send_records(self.cloud.kafka_brokers(), topic, records).await
    }

    /// Sends what the trading engine says of accounts.
    ///
    /// # Errors
    /// When the broker doesn't take it.
    pub async fn engine_says(&self, snapshots: &[Value]) -> Result {
        let record = |snapshot: &Value| (snapshot["accountId"].to_string(), snapshot.to_string());
        let records: Vec<_> = snapshots.iter().map(record).collect();
        self.send_records(POSITIONS, &records).await
    }

    /// Sends how an assessment ended.
    ///
    /// # Errors
    /// When the broker doesn't take it.
    pub async fn assessment_ends(&self, assessment: &Value) -> Result {
        let record = (assessment["userId"].to_string(), assessment.to_string());
        self.send_records(ASSESSMENTS, &[record]).await
    }

    /// What was told of an account on the topics, in its order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn told_of_account(&self, account: i64) -> Result<Vec<String>> {
        let key = format!("funded-account-{account}");
        let rows = self.database.outbox_of_key(&key).await?.into_iter();
        let of_topics = rows.filter(|row| row.destination == row.kind);
        Ok(of_topics.map(|row| row.kind).collect())
    }

    /// A trader who has passed an assessment of the usual tier, with the account.
    ///
    /// # Errors
    /// When it isn't activated.
    pub async fn trader(&self) -> Result<Trader> {
        self.put_tier(TIER, &tier()).await?;
        self.trader_of(TIER).await
    }

    /// A trader who has passed an assessment of a tier that is there.
    ///
    /// # Errors
    /// When the account isn't activated.
    pub async fn trader_of(&self, tier: &str) -> Result<Trader> {
        self.trader_who(&passed(next_user(), tier)).await
    }

    /// A trader who has passed this assessment, the first one.
    ///
    /// # Errors
    /// When the account isn't activated.
    pub async fn trader_who(&self, assessment: &Value) -> Result<Trader> {
        let user_id = assessment["userId"].as_i64().context("nobody")?;
        let api = self.api(Some(json!({ "user_id": user_id })))?;
        self.assessment_ends(assessment).await?;
        let account = eventually("the account is activated", async || {
            let accounts = api.get("/funded-accounts").await?.expect(200)?;
            accounts.body["items"][0]["id"]
                .as_i64()
                .context("there is no account")
        })
        .await?;
        Ok(Trader {
            user_id,
            api,
            account,
            withdrawal: 0,
        })
    }
}

/// The event of a user who passed an assessment of a tier, the first of that user.
pub fn passed(user_id: i64, tier: &str) -> Value {
    json!({
        "assessmentId": format!("assessment-{user_id}"), "userId": user_id, "email": format!("trader-{user_id}@example.com"),
        "firstName": "Ada", "lastName": "Byron", "country": "US", "tierId": tier, "status": "passed",
        "completedAt": "2026-11-02T14:00:00Z",
    })
}

impl Trader {
    /// The account as it is now.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn see(&self) -> Result<Value> {
        let path = format!("/funded-accounts/{}", self.account);
        Ok(self.api.get(&path).await?.expect(200)?.body)
    }

    /// Waits until the account is in a state.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn sees(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, async || {
            let account = self.see().await?;
            anyhow::ensure!(is_so(&account), "the account is {account}");
            Ok(account)
        })
        .await
    }

    /// Waits until the live state is that of a snapshot.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn sees_balance(&self, cents: i64) -> Result<Value> {
        let is_so = |seen: &Value| seen["account"]["current_balance_cents"] == cents;
        self.sees(&format!("the balance is {cents}"), is_so).await
    }

    /// Waits until so many mails have come to a trader without a profile; gives their subjects, sorted.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn is_mailed(&self, fixture: &Fixture, count: usize) -> Result<Vec<String>> {
        let address = format!("trader-{}@example.com", self.user_id);
        eventually(&format!("{address} has {count} mails"), async || {
            let mails = fixture.cloud.mail().mails_to(&address).into_iter();
            let mut subjects: Vec<_> = mails.map(|mail| mail.subject).collect();
            subjects.sort_unstable();
            anyhow::ensure!(subjects.len() == count, "it has {subjects:?}");
            Ok(subjects)
        })
        .await
    }

    /// Waits until the record in PostgreSQL is in a state.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn is_recorded(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, async || {
            let accounts = self.api.get("/funded-accounts").await?.expect(200)?.body;
            let items = accounts["items"].as_array().into_iter().flatten();
            let account = items.clone().find(|account| account["id"] == self.account);
            let account = account.context("it isn't in the list")?;
            anyhow::ensure!(is_so(account), "the record is {account}");
            Ok(account.clone())
        })
        .await
    }
}
