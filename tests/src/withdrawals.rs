//! Withdrawals from funded accounts, as their traders, operators and Stripe see them.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::funded::{Trader, flat};
use crate::wallets::new_key;
use crate::{Answer, Fixture, Result, eventually, new_domain_event};

/// Stripe's test account at a bank that takes every payout.
pub const PAYS: &str = "000123456789";
/// One that gives every payout back.
pub const CLOSED_BANK: &str = "000111111113";

impl Fixture {
    /// A trader whose account has made so much profit, and who can be paid at a bank account of Stripe's.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn trader_with_profit(&self, profit_cents: i64, bank: &str) -> Result<Trader> {
        let trader = self.trader().await?;
        self.earn(&trader, 1, profit_cents).await?;
        self.can_be_paid(&trader, bank).await?;
        Ok(trader)
    }

    /// The trader's account has made so much profit, and nothing is open.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn earn(&self, trader: &Trader, sequence: i64, profit_cents: i64) -> Result {
        let balance = 10_000_000 + profit_cents;
        self.engine_says(&[flat(trader.account, sequence, balance)])
            .await?;
        trader.sees_balance(balance).await?;
        trader
            .is_recorded("the profit is recorded", |record| {
                record["current_balance_cents"] == balance
            })
            .await?;
        Ok(())
    }

    /// The trader goes through Stripe's page, for the first time or to change the bank account.
    ///
    /// # Errors
    /// When the payout account doesn't become ready.
    pub async fn can_be_paid(&self, trader: &Trader, bank: &str) -> Result {
        let nothing = json!({});
        let link = trader.api.post("/payout-account/link", "unused", &nothing);
        link.await?.expect(201)?;
        self.cloud.stripe().onboard(&self.payee_of(trader)?, bank)?;
        let last4 = bank.get(bank.len() - 4..).unwrap_or_default();
        eventually("the payout account is ready", async || {
            let account = trader.api.get("/payout-account").await?.expect(200)?.body;
            ensure!(
                account["status"] == "ready" && account["bank_last4"] == last4,
                "it is {account}"
            );
            Ok(())
        })
        .await
    }

    /// The trader's account at Stripe.
    ///
    /// # Errors
    /// When there is none.
    pub fn payee_of(&self, trader: &Trader) -> Result<String> {
        let user = trader.user_id.to_string();
        let accounts = self.cloud.stripe().connected_accounts();
        let mut theirs = accounts
            .into_iter()
            .filter(|account| account.metadata.get("user_id") == Some(&user));
        Ok(theirs.next_back().context("there is no account at Stripe")?.id)
    }

    /// An operator decides about a withdrawal that waits.
    ///
    /// # Errors
    /// When there is no review of it, or the decision isn't taken.
    pub async fn decide_withdrawal(&self, withdrawal: i64, action: &str) -> Result {
        let subject = format!("withdrawal-{withdrawal}");
        let review = self
            .review_reaches("withdrawal-approval", &subject, "open")
            .await?;
        self.decide("operator", &review, action, json!({}))
            .await?
            .expect(202)?;
        Ok(())
    }

    /// An operator approves a withdrawal.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn approve(&self, operator: &str, withdrawal: i64) -> Result<Answer> {
        let path = format!("/admin/withdrawals/{withdrawal}/approve");
        self.operator(operator)?.post(&path, "unused", &json!({})).await
    }

    /// An operator rejects a withdrawal.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn reject(&self, operator: &str, withdrawal: i64, reason: &str) -> Result<Answer> {
        let path = format!("/admin/withdrawals/{withdrawal}/reject");
        let body = json!({ "reason": reason });
        self.operator(operator)?.post(&path, "unused", &body).await
    }

    /// The withdrawal goes on now, once nobody else works on it.
    ///
    /// # Errors
    /// When somebody keeps working on it, or the step fails.
    pub async fn withdrawal_goes_on(&self, id: i64) -> Result {
        eventually("nobody works on it", async || {
            let at_work = "SELECT count(*) FROM withdrawals WHERE id = $1 AND leased_until IS NOT NULL";
            ensure!(self.database.count(at_work, id).await? == 0, "somebody does");
            Ok(())
        })
        .await?;
        let step = new_domain_event(
            "withdrawal.step-due",
            &format!("withdrawal-{id}"),
            json!({ "withdrawal_id": id }),
        );
        let failed = self.deliver("process_withdrawal", &[step]).await?;
        ensure!(failed.is_empty(), "the step failed");
        Ok(())
    }

    /// What was moved at Stripe for a withdrawal and isn't back: with the trader's account, and what a bank has or gets.
    pub fn sent_for(&self, withdrawal: i64) -> (i64, i64) {
        let (id, stripe) = (withdrawal.to_string(), self.cloud.stripe());
        let transfers = stripe.transfers().into_iter();
        let moved: i64 = transfers
            .filter(|one| one.metadata.get("withdrawal_id") == Some(&id))
            .map(|one| one.amount - one.amount_reversed)
            .sum();
        let payouts = stripe.payouts().into_iter();
        let paid: i64 = payouts
            .filter(|one| one.metadata.get("withdrawal_id") == Some(&id))
            .filter(|one| {
                one.failure_code.is_none()
                    && one.status != local_cloud::sandboxes::stripe::PayoutStatus::Canceled
            })
            .map(|one| one.amount)
            .sum();
        (moved, paid)
    }
}

impl Trader {
    /// Asks for a withdrawal.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn withdraw(&self, amount_cents: i64) -> Result<Answer> {
        let path = format!("/funded-accounts/{}/withdraw", self.account);
        let body = json!({ "amount_cents": amount_cents });
        self.api.post(&path, &new_key(), &body).await
    }

    /// A withdrawal that was taken.
    ///
    /// # Errors
    /// When it wasn't.
    pub async fn withdrawal(&self, amount_cents: i64) -> Result<i64> {
        self.withdraw(amount_cents).await?.expect(201)?.number("id")
    }

    /// Waits until a withdrawal is in a state.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn withdrawal_is(&self, id: i64, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(&format!("withdrawal {id} is {what}"), async || {
            let path = format!("/funded-accounts/{}/withdrawals", self.account);
            let all = self.api.get(&path).await?.expect(200)?.body;
            let mut items = all["items"].as_array().into_iter().flatten();
            let found = items
                .find(|one| one["id"] == id)
                .context("it isn't in the list")?;
            ensure!(is_so(found), "it is {found}");
            Ok(found.clone())
        })
        .await
    }

    /// Waits until a withdrawal is with the bank.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn is_paid(&self, id: i64) -> Result<Value> {
        let is_so = |one: &Value| one["status"] == "completed" && one["paid_at"].is_string();
        self.withdrawal_is(id, "paid", is_so).await
    }
}
