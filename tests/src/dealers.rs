//! Dealers, as the auction's services see them.

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use local_cloud::sandboxes::billing::NewPayment;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Answer, Api, Fixture, Result, eventually};

/// The claims of a service that works with dealers.
pub fn dealers_service() -> Value {
    json!({ "scope": "dealers" })
}

/// The requisite of a company that doesn't exist; its numbers are made by the rules.
pub fn company() -> Value {
    json!({
        "legal_form": "LEGAL_ENTITY",
        "name": "ООО «Пример»",
        "inn": "9909123454",
        "kpp": "990901001",
        "ogrn": "1269900012348",
        "bik": "044525225",
        "settlement_account": "40702810938000000001",
        "correspondent_account": "30101810400000000225",
        "legal_address": "117312, Москва, улица Примерная, дом 1",
        "signatory": "Генеральный директор",
        "email": "bills@example.com",
        "phone": "+74955005550",
    })
}

/// The requisite of a sole proprietor who doesn't exist.
pub fn proprietor() -> Value {
    let mut requisite = company();
    requisite["legal_form"] = json!("SOLE_PROPRIETOR");
    requisite["name"] = json!("ИП Примеров Пример Примерович");
    requisite["inn"] = json!("990912345685");
    requisite["ogrn"] = json!("326990000123454");
    requisite["settlement_account"] = json!("40802810138000000002");
    if let Some(fields) = requisite.as_object_mut() {
        fields.remove("kpp");
    }
    requisite
}

/// A deal that nobody has had.
pub fn new_deal() -> String {
    format!("deal-{}", Uuid::new_v4().simple())
}

/// A dealer.
#[derive(Debug, Clone)]
pub struct Dealer {
    /// His name in the auction's systems.
    pub name: String,
    /// The API as a service sees it.
    pub api: Api,
}

/// The body that registers a dealer.
pub fn registration(name: &str, requisite: &Value) -> Value {
    json!({ "cme_client_id": name, "offer_accepted_at": "2026-11-20T14:29:58Z", "requisite": requisite })
}

impl Fixture {
    /// A name that no dealer has.
    ///
    /// # Errors
    /// When there is no token.
    pub fn stranger(&self) -> Result<Dealer> {
        Ok(Dealer {
            name: format!("CME-{}", Uuid::new_v4().simple()),
            api: self.api(Some(dealers_service()))?,
        })
    }

    /// A new dealer, whose COMMISSION account Billing knows.
    ///
    /// # Errors
    /// When one can't be made.
    pub async fn dealer(&self) -> Result<Dealer> {
        let dealer = self.stranger()?;
        dealer.register(&company()).await?.expect(201)?;
        dealer.account_reaches("COMMISSION", "ready").await?;
        Ok(dealer)
    }

    /// A new dealer with fast buyout, all of whose accounts Billing knows.
    ///
    /// # Errors
    /// When one can't be made.
    pub async fn dealer_with_fast_buyout(&self) -> Result<Dealer> {
        let dealer = self.dealer().await?;
        dealer.add_fast_buyout().await?.expect(201)?;
        for account in ["DEPOSIT", "SETTLEMENT"] {
            dealer.account_reaches(account, "ready").await?;
        }
        Ok(dealer)
    }

    /// The client that an account is in Billing.
    ///
    /// # Errors
    /// When Billing has none.
    pub async fn billing_client(&self, dealer: &Dealer, account: &str) -> Result<String> {
        let sql = "SELECT billing_client_id FROM dealer_accounts JOIN dealers ON dealers.id = dealer_id \
                   WHERE cme_client_id = $1 AND account_type = $2";
        let query = sqlx::query_scalar(sql).bind(&dealer.name).bind(account);
        let client: Option<String> = query.fetch_one(self.database.pool()).await?;
        client.with_context(|| format!("Billing has no {account} of {}", dealer.name))
    }

    /// The dealer pays into an account, and Billing tells it; gives Billing's id of the payment.
    ///
    /// # Errors
    /// When it can't be told.
    pub async fn dealer_pays(
        &self,
        dealer: &Dealer,
        account: &str,
        bill: Option<&str>,
        amount: i64,
    ) -> Result<String> {
        let new = NewPayment {
            client_id: self.billing_client(dealer, account).await?,
            bill_id: bill.map(str::to_owned),
            amount,
        };
        Ok(self.cloud.billing().pay(new).await?.payment_id)
    }

    /// Billing's id of a bill.
    ///
    /// # Errors
    /// When Billing hasn't made it.
    pub async fn billing_bill(&self, bill: i64) -> Result<String> {
        let sql = "SELECT billing_bill_id FROM bills WHERE id = $1";
        let query = sqlx::query_scalar(sql).bind(bill);
        let id: Option<String> = query.fetch_one(self.database.pool()).await?;
        id.context("Billing hasn't made it")
    }

    /// What is known of a bill at Billing, as it is stored.
    ///
    /// # Errors
    /// When there is no such bill.
    pub async fn issuing_status(&self, bill: i64) -> Result<String> {
        let sql = "SELECT issuing_status FROM bills WHERE id = $1";
        let query = sqlx::query_scalar(sql).bind(bill);
        Ok(query.fetch_one(self.database.pool()).await?)
    }

    /// Waits until a bill stands so at Billing.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn issuing_reaches(&self, bill: i64, status: &str) -> Result {
        eventually(&format!("bill {bill} is {status} at Billing"), async || {
            crate::ensure_eq!(self.issuing_status(bill).await?, status);
            Ok(())
        })
        .await
    }

    /// Whether a payment, or a reversal, was applied.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_booked(&self, payment: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT FROM dealer_payments WHERE payment_id = $1)";
        let query = sqlx::query_scalar(sql).bind(payment);
        Ok(query.fetch_one(self.database.pool()).await?)
    }

    /// Waits until a payment, or a reversal, was applied.
    ///
    /// # Errors
    /// When it isn't.
    pub async fn booked(&self, payment: &str) -> Result {
        eventually(&format!("payment {payment} is applied"), async || {
            ensure!(self.is_booked(payment).await?, "it isn't");
            Ok(())
        })
        .await
    }

    /// Runs the reconciliation as of a time.
    ///
    /// # Errors
    /// When it fails.
    pub async fn reconcile_dealers(&self, at: DateTime<Utc>) -> Result<Value> {
        Ok(self
            .run("reconcile_dealers", json!({ "scheduled_time": at }))
            .await?
            .payload)
    }

    /// The kinds of a dealer's events in the outbox, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dealer_events(&self, dealer: &Dealer) -> Result<Vec<String>> {
        let sql = "SELECT kind FROM outbox_messages JOIN dealers ON ordering_key = 'dealer-' || dealers.id \
                   WHERE cme_client_id = $1 AND destination = 'dealers.events' ORDER BY outbox_messages.id";
        let query = sqlx::query_scalar(sql).bind(&dealer.name);
        Ok(query.fetch_all(self.database.pool()).await?)
    }

    /// Holds the books of all accounts against each other: Σ payments = Σ parts of bills + balance, and no bill has more
    /// than its sum.
    ///
    /// # Errors
    /// With the accounts whose books don't agree.
    pub async fn dealer_books_agree(&self) -> Result {
        let sql = "SELECT count(*) FROM dealer_accounts AS account WHERE \
                   (SELECT COALESCE(sum(amount - reversed_amount), 0) FROM dealer_payments AS payment \
                    WHERE (payment.dealer_id, payment.account_type) = (account.dealer_id, account.account_type) \
                      AND reversal_of IS NULL) \
                   <> current_balance + (SELECT COALESCE(sum(part.amount), 0) FROM bill_payments AS part \
                      JOIN bills AS bill ON bill.id = bill_id \
                      WHERE (bill.dealer_id, bill.account_type) = (account.dealer_id, account.account_type)) \
                   OR $1 <> 0";
        crate::ensure_eq!(self.database.count(sql, 0).await?, 0, "accounts that lost money");
        let sql = "SELECT count(*) FROM bills AS bill WHERE paid_sum <> (SELECT COALESCE(sum(amount), 0) \
                   FROM bill_payments WHERE bill_id = bill.id) OR paid_sum NOT BETWEEN 0 AND common_sum OR $1 <> 0";
        crate::ensure_eq!(
            self.database.count(sql, 0).await?,
            0,
            "bills with another sum than their parts"
        );
        Ok(())
    }
}

impl Dealer {
    /// The path of something of the dealer's.
    pub fn path(&self, what: &str) -> String {
        format!("/dealers/{}{what}", self.name)
    }

    /// Registers him.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn register(&self, requisite: &Value) -> Result<Answer> {
        let body = registration(&self.name, requisite);
        self.api.post("/dealers", "unused", &body).await
    }

    /// Replaces his requisite.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn update_requisite(&self, requisite: &Value) -> Result<Answer> {
        self.api.put(&self.path("/requisite"), requisite).await
    }

    /// Adds fast buyout.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn add_fast_buyout(&self) -> Result<Answer> {
        self.api
            .post(&self.path("/fast-buyout"), "unused", &json!({}))
            .await
    }

    /// He as a service sees him.
    ///
    /// # Errors
    /// When he can't be had.
    pub async fn shown(&self) -> Result<Value> {
        Ok(self.api.get(&self.path("")).await?.expect(200)?.body)
    }

    /// One of his accounts; null when it isn't open.
    ///
    /// # Errors
    /// When he can't be had.
    pub async fn account(&self, account: &str) -> Result<Value> {
        let shown = self.shown().await?;
        let accounts = shown["accounts"].as_array().context("no accounts")?;
        let found = accounts.iter().find(|one| one["account_type"] == account);
        Ok(found.cloned().unwrap_or_default())
    }

    /// Waits until an account is so far at Billing.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn account_reaches(&self, account: &str, status: &str) -> Result<Value> {
        eventually(&format!("{account} of {} is {status}", self.name), async || {
            let shown = self.account(account).await?;
            crate::ensure_eq!(shown["provisioning_status"], json!(status));
            Ok(shown)
        })
        .await
    }

    /// Waits until an account has this balance.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn balance_reaches(&self, account: &str, balance: i64) -> Result {
        eventually(&format!("{account} of {} has {balance}", self.name), async || {
            crate::ensure_eq!(self.account(account).await?["balance"], json!(balance));
            Ok(())
        })
        .await
    }

    /// Bills our commission for a deal of this price.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn bill_reward(&self, deal: &str, deal_price: i64) -> Result<Answer> {
        let body = json!({ "operation": "GET_REWARD", "deal_id": deal, "deal_price": deal_price });
        self.api.post(&self.path("/bills"), "unused", &body).await
    }

    /// Bills a car of this price.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn bill_car(&self, deal: &str, amount: i64) -> Result<Answer> {
        let body = json!({ "operation": "GET_SETTLEMENT", "deal_id": deal, "amount": amount });
        self.api.post(&self.path("/bills"), "unused", &body).await
    }

    /// A bill for a new deal whose commission is this many kopecks, with our commission at two per cent; gives its id.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn owes(&self, commission: i64) -> Result<i64> {
        let answer = self
            .bill_reward(&new_deal(), commission * 50)
            .await?
            .expect(201)?;
        crate::ensure_eq!(answer.body["common_sum"], json!(commission));
        answer.number("bill_id")
    }

    /// The same, and waits until Billing has made it.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn owes_issued(&self, commission: i64) -> Result<i64> {
        let bill = self.owes(commission).await?;
        eventually(&format!("bill {bill} is issued"), async || {
            let shown = self.bill(bill).await?;
            ensure!(shown["url"].is_string(), "{shown}");
            Ok(bill)
        })
        .await
    }

    /// One of his bills.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn bill(&self, bill: i64) -> Result<Value> {
        let path = self.path(&format!("/bills/{bill}"));
        Ok(self.api.get(&path).await?.expect(200)?.body)
    }

    /// His bills of a status, with their totals.
    ///
    /// # Errors
    /// When they can't be had.
    pub async fn bills(&self, status: &str) -> Result<Value> {
        let path = self.path(&format!("/bills?status={status}&limit=100"));
        Ok(self.api.get(&path).await?.expect(200)?.body)
    }

    /// Waits until a bill has a status; gives it.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn bill_reaches(&self, bill: i64, status: &str) -> Result<Value> {
        eventually(&format!("bill {bill} is {status}"), async || {
            let shown = self.bill(bill).await?;
            crate::ensure_eq!(shown["status"], json!(status), "{shown}");
            Ok(shown)
        })
        .await
    }

    /// Takes a bill back.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn void(&self, bill: i64) -> Result<Answer> {
        let path = self.path(&format!("/bills/{bill}/void"));
        let body = json!({ "reason": "the price of the deal has changed" });
        self.api.post(&path, "unused", &body).await
    }

    /// Asks for fast buyout of a car.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn fast_buyout(&self, price: i64) -> Result<Answer> {
        let path = self.path(&format!("/fast-buyout?price={price}"));
        self.api.send(self.api.request(Method::GET, &path)).await
    }
}
