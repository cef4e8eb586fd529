//! Traders with funded accounts, and a trading engine that says what becomes of them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

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
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", self.cloud.kafka_brokers())
            .set("enable.idempotence", "true")
            .create()?;
        for (key, value) in records {
            let record = FutureRecord::to(topic).key(key).payload(value);
            let sent = producer.send(record, Duration::from_secs(10)).await;
            sent.map_err(|(error, _)| error)?;
        }
        Ok(())
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
        let user_id = next_user();
        let api = self.api(Some(json!({ "user_id": user_id })))?;
        self.assessment_ends(&passed(user_id, tier)).await?;
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
