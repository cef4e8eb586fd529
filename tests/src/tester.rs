//! A customer who uses the app.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Answer, Api, Result, customers::Customer, eventually};

/// A customer with the app in hand.
#[derive(Debug, Clone)]
pub struct Tester {
    /// Who it is, here and at the outside parties.
    pub customer: Customer,
    /// The app's client.
    pub api: Api,
}

impl Tester {
    /// The body of a deposit or withdrawal.
    pub fn request(&self, amount_cents: i64) -> Value {
        json!({
            "trading_account_id": self.customer.trading_account_id,
            "bank_account_id": self.customer.bank_account_id,
            "amount_cents": amount_cents,
        })
    }

    /// Asks for a deposit under a new key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn deposit(&self, amount_cents: i64) -> Result<Answer> {
        self.deposit_under(&new_key(), amount_cents).await
    }

    /// Asks for a deposit under a key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn deposit_under(&self, key: &str, amount_cents: i64) -> Result<Answer> {
        let body = self.request(amount_cents);
        self.api.post("/trading/deposits", key, &body).await
    }

    /// Asks for a withdrawal under a new key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn withdraw(&self, amount_cents: i64) -> Result<Answer> {
        self.withdraw_under(&new_key(), amount_cents).await
    }

    /// Asks for a withdrawal under a key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn withdraw_under(&self, key: &str, amount_cents: i64) -> Result<Answer> {
        let body = self.request(amount_cents);
        self.api.post("/trading/withdrawals", key, &body).await
    }

    /// The newest hundred flows of the history.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn flows(&self) -> Result<Vec<Value>> {
        self.items("/trading/history/money-flow?limit=100").await
    }

    /// A flow as the history has it.
    ///
    /// # Errors
    /// When it hasn't.
    pub async fn flow(&self, id: i64) -> Result<Value> {
        let flows = self.flows().await?;
        let found = flows.iter().find(|flow| flow["id"] == id).cloned();
        found.with_context(|| format!("flow {id} is not in the history {flows:?}"))
    }

    /// Waits until the history has the flow in a status.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn flow_reaches(&self, id: i64, status: &str) -> Result<Value> {
        eventually(&format!("flow {id} becomes {status}"), async || {
            let flow = self.flow(id).await?;
            ensure!(flow["status"] == status, "the history has {flow}");
            Ok(flow)
        })
        .await
    }

    /// The newest hundred notifications.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn feed(&self) -> Result<Vec<Value>> {
        self.items("/notifications?limit=100").await
    }

    /// Waits until the feed has this many notifications.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn feed_reaches(&self, count: usize) -> Result<Vec<Value>> {
        eventually(&format!("the feed has {count} notifications"), async || {
            let feed = self.feed().await?;
            ensure!(feed.len() == count, "the feed has {feed:?}");
            Ok(feed)
        })
        .await
    }

    /// The number of unread notifications.
    ///
    /// # Errors
    /// When the API doesn't answer with one.
    pub async fn unread(&self) -> Result<i64> {
        let answer = self.api.get("/notifications/unread-count").await?.expect(200)?;
        answer.number("unread")
    }

    /// The trading profile.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn profile(&self) -> Result<Value> {
        Ok(self.api.get("/trading/profile").await?.expect(200)?.body)
    }

    async fn items(&self, path: &str) -> Result<Vec<Value>> {
        let answer = self.api.get(path).await?.expect(200)?;
        let items = answer.body["items"].as_array().cloned();
        items.with_context(|| format!("no items in {}", answer.text))
    }
}

fn new_key() -> String {
    Uuid::new_v4().to_string()
}
