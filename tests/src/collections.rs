//! Thematic collections for tests: a market that is open, collections that are put, customers who hold some of them.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use domain::market::MarketCalendar;
use local_cloud::ClockMove;
use local_cloud::sandboxes::drivewealth::AccountState;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::customers::NewCustomer;
use crate::{Answer, Fixture, Result, Tester, eventually, fifo_event, new_domain_event};

/// The queue of an account's orders.
pub const QUEUE: &str = "collection-versions";
/// Its consumer.
pub const CONSUMER: &str = "apply_collection_version";

/// Collections get ids from here on.
static NEXT_COLLECTION: AtomicI64 = AtomicI64::new(1_000);
/// One at a time looks whether the market is open, and lists what is traded.
static MARKET: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A customer with $10,000.00: $4,000.00 in cash, $3,500.00 in one collection and $2,500.00 in another.
#[derive(Debug, Clone)]
pub struct Investor {
    /// The customer.
    pub tester: Tester,
    /// The collection of $3,500.00, of ENPH, FSLR and NEE.
    pub first: i64,
    /// The collection of $2,500.00, of IRBT and ISRG.
    pub second: i64,
}

/// What the first collection consists of, in ten-thousandths.
pub const FIRST: [(&str, i64); 3] = [("ENPH", 5_000), ("FSLR", 3_000), ("NEE", 2_000)];
/// What the second collection consists of.
pub const SECOND: [(&str, i64); 2] = [("IRBT", 5_000), ("ISRG", 5_000)];

impl Fixture {
    /// Moves the local cloud's clock to a time at which the market is open for hours, and lists what is traded.
    ///
    /// # Errors
    /// When the clock can't be moved.
    pub async fn open_market(&self) -> Result {
        let _one_at_a_time = MARKET.lock().await;
        let now = self.cloud.now();
        let stays_open = MarketCalendar::is_open(now) && MarketCalendar::is_open(now + TimeDelta::hours(1));
        if !stays_open {
            let opening = MarketCalendar::next_open(now + TimeDelta::hours(4));
            // A weekend of schedules would take a minute and a half, and is of no use here.
            let open = ClockMove::to(opening + TimeDelta::minutes(10)).running(&[]);
            self.cloud.move_clock(&open).await?;
        }
        self.list_instruments().await
    }

    /// Lists what is traded, if it isn't.
    ///
    /// # Errors
    /// When it can't be listed.
    pub async fn list_instruments(&self) -> Result {
        let listed: i64 = sqlx::query_scalar("SELECT count(*) FROM instruments")
            .fetch_one(self.database.pool())
            .await?;
        if listed == 0 {
            self.run("refresh_instruments", json!({})).await?;
        }
        Ok(())
    }

    /// Puts a new collection with these weights in ten-thousandths; gives its id.
    ///
    /// # Errors
    /// When it isn't taken.
    pub async fn collection(&self, weights: &[(&str, i64)]) -> Result<i64> {
        let id = NEXT_COLLECTION.fetch_add(1, Ordering::Relaxed);
        let weights: Vec<Value> = weights.iter().map(weight).collect();
        let body =
            json!({ "name": format!("Collection {id}"), "uniq_id": format!("ttf-{id}"), "weights": weights });
        let service = self.api(Some(json!({ "scope": "internal" })))?;
        service
            .put(&format!("/trading/collections/{id}"), &body)
            .await?
            .expect(201)?;
        Ok(id)
    }

    /// A new customer who holds two collections.
    ///
    /// # Errors
    /// When one can't be made.
    pub async fn investor(&self) -> Result<Investor> {
        let (first, second) = (self.collection(&FIRST).await?, self.collection(&SECOND).await?);
        self.investor_in(first, second).await
    }

    /// A new customer who holds these two collections, which are those of an [`Investor`].
    ///
    /// # Errors
    /// When one can't be made.
    pub async fn investor_in(&self, first: i64, second: i64) -> Result<Investor> {
        let new = NewCustomer {
            cash_cents: 400_000,
            funds: vec![("First".to_owned(), 3_500), ("Second".to_owned(), 2_500)],
            ..NewCustomer::default()
        };
        let tester = self.customer_with(&new).await?;
        let account = self.account_of(&tester)?;
        for (collection, name, parts) in [(first, "First", &FIRST[..]), (second, "Second", &SECOND[..])] {
            let fund = account.funds.iter().find(|fund| fund.name == name);
            let fund = &fund.context("the broker has no such fund")?.id;
            let drivewealth = self.cloud.drivewealth();
            drivewealth.set_fund_holdings(&account.id, fund, parts)?;
            self.hold(&tester, collection, fund).await?;
        }
        Ok(Investor {
            tester,
            first,
            second,
        })
    }

    /// Writes down that a fund of the customer is a collection's, as the order that made it has left it.
    async fn hold(&self, tester: &Tester, collection: i64, fund: &str) -> Result {
        let sql = "WITH made AS (
                INSERT INTO trading_collection_versions
                  (profile_id, trading_account_id, collection_id, collection_uniq_id, status, target_amount_cents,
                   has_weights, planned_amount_cents, actual_amount_cents, applies_at, settled_at, created_at, updated_at)
                SELECT $1, $2, id, uniq_id, 'complete', 1, false, 1, 1, $5, $5, $5, $5 FROM collections WHERE id = $3
                RETURNING id)
            INSERT INTO drivewealth_funds (ref_id, profile_id, collection_id, trading_collection_version_id, created_at)
            SELECT $4, $1, $3, id, $5 FROM made";
        sqlx::query(sql)
            .bind(tester.customer.profile_id)
            .bind(tester.customer.trading_account_id)
            .bind(collection)
            .bind(fund)
            .bind(self.cloud.now())
            .execute(self.database.pool())
            .await?;
        Ok(())
    }

    /// Writes down an order of the customer that has ended in a status; gives its id.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn ended_order(&self, tester: &Tester, collection: i64, status: &str) -> Result<i64> {
        self.write_order(tester, collection, 10_000, status).await
    }

    /// Writes down an order of the customer that waits, without a message about it; gives its id.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn waiting_order(&self, tester: &Tester, collection: i64, cents: i64) -> Result<i64> {
        self.write_order(tester, collection, cents, "pending").await
    }

    async fn write_order(&self, tester: &Tester, collection: i64, cents: i64, status: &str) -> Result<i64> {
        let sql = "INSERT INTO trading_collection_versions
                  (profile_id, trading_account_id, collection_id, collection_uniq_id, status, target_amount_cents,
                   has_weights, applies_at, settled_at, created_at, updated_at)
            SELECT $1, $2, id, uniq_id, $4, $6, false, $5, CASE WHEN $4 <> 'pending' THEN $5 END, $5, $5
            FROM collections WHERE id = $3 RETURNING id";
        let id = sqlx::query_scalar(sql)
            .bind(tester.customer.profile_id)
            .bind(tester.customer.trading_account_id)
            .bind(collection)
            .bind(status)
            .bind(self.cloud.now())
            .bind(cents);
        Ok(id.fetch_one(self.database.pool()).await?)
    }

    /// The customer's account at the broker.
    ///
    /// # Errors
    /// When there is none.
    pub fn account_of(&self, tester: &Tester) -> Result<AccountState> {
        let account = self
            .cloud
            .drivewealth()
            .account(&tester.customer.drivewealth_account_id);
        account.context("the broker has no such account")
    }

    /// Lets the orders of an account be worked on once more; gives the positions that failed.
    ///
    /// # Errors
    /// When the function fails as a whole.
    pub async fn work_on(&self, tester: &Tester) -> Result<Vec<usize>> {
        let account = &tester.customer.drivewealth_account_id;
        let event = fifo_event(QUEUE, &[(account.as_str(), due(tester).to_string())]);
        crate::failed_items(&self.cloud.invoke(CONSUMER, event).await?)
    }

    /// Works on the orders of an account until an order is in a status.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn order_reaches(&self, tester: &Tester, order: i64, status: &str) -> Result<Value> {
        eventually(&format!("order {order} becomes {status}"), async || {
            let seen = tester.order(order).await?;
            if seen["status"] != status {
                self.work_on(tester).await?;
            }
            ensure!(seen["status"] == status, "the history has {seen}");
            Ok(seen)
        })
        .await
    }
}

/// The message that lets the orders of an account be worked on.
pub fn due(tester: &Tester) -> Value {
    let data = json!({
        "drivewealth_account_id": tester.customer.drivewealth_account_id,
        "trading_account_id": tester.customer.trading_account_id,
        "profile_id": tester.customer.profile_id,
    });
    new_domain_event(
        "collection-versions.due",
        &tester.customer.drivewealth_account_id,
        data,
    )
}

/// The weight of a symbol in a request, given in ten-thousandths.
pub fn weight((symbol, weight): &(&str, i64)) -> Value {
    let text = match weight {
        10_000 => "1".to_owned(),
        weight => format!("0.{weight:04}").trim_end_matches('0').to_owned(),
    };
    json!({ "symbol": symbol, "weight": text })
}

impl Tester {
    /// Asks for a change of a collection under a new key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn reconfigure(&self, collection: i64, body: &Value) -> Result<Answer> {
        self.reconfigure_under(&Uuid::new_v4().to_string(), collection, body)
            .await
    }

    /// Asks for a change of a collection under a key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn reconfigure_under(&self, key: &str, collection: i64, body: &Value) -> Result<Answer> {
        let path = format!("/trading/collections/{collection}/versions");
        self.api.post(&path, key, body).await
    }

    /// Asks for cents to be put in or taken out, which has to be taken; gives the order's id.
    ///
    /// # Errors
    /// When it isn't.
    pub async fn order_amount(&self, collection: i64, cents: i64) -> Result<i64> {
        let body = json!({ "absolute_amount_delta_cents": cents });
        self.reconfigure(collection, &body)
            .await?
            .expect(202)?
            .number("id")
    }

    /// Takes an order back.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn cancel_order(&self, collection: i64, order: i64) -> Result<Answer> {
        let path = format!("/trading/collections/{collection}/versions/{order}");
        let request = self.api.request(reqwest::Method::DELETE, &path);
        self.api.send(request).await
    }

    /// The newest hundred orders, whatever their status.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn orders(&self) -> Result<Vec<Value>> {
        let path = "/trading/history/rebalancings?status=all&limit=100";
        let answer = self.api.get(path).await?.expect(200)?;
        let items = answer.body["items"].as_array().cloned();
        items.with_context(|| format!("no items in {}", answer.text))
    }

    /// An order as the history has it.
    ///
    /// # Errors
    /// When it hasn't.
    pub async fn order(&self, id: i64) -> Result<Value> {
        let orders = self.orders().await?;
        let found = orders.iter().find(|order| order["id"] == id).cloned();
        found.with_context(|| format!("order {id} is not in the history {orders:?}"))
    }

    /// What is held of a collection.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn holdings(&self, collection: i64) -> Result<Value> {
        let path = format!("/trading/collections/{collection}/holdings");
        Ok(self.api.get(&path).await?.expect(200)?.body)
    }
}
