//! A customer who pays commissions: cards at Stripe, an invoice of last month, and what the customer is told.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for what it doesn't have"
)]

use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{
    api::{Answer, Api},
    checks::until,
};
use crate::{
    LocalCloud,
    customers::{Customer, NewCustomer},
    sandboxes::{
        CaughtMail,
        stripe::{ChargeStatus, IntentStatus},
    },
};

/// Stripe's test card that always pays.
pub(super) const VISA: &str = "4242424242424242";
/// One that can be saved, and is declined when it is charged.
pub(super) const DECLINES_LATER: &str = "4000000000000341";

/// What an account is worth from its opening on the 11th of last month.
pub(super) const FIRST_EQUITY: i64 = 2_000_000;
/// And from the 21st on.
pub(super) const LATER_EQUITY: i64 = 3_000_000;

/// The days of last month.
#[derive(Clone, Copy)]
pub(super) struct Month {
    pub(super) first: NaiveDate,
    pub(super) last: NaiveDate,
    /// From the opening on.
    pub(super) billable_days: i64,
}

/// What Stripe has of an invoice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Charges {
    pub(super) taken: usize,
    pub(super) declined: usize,
}

/// A customer, with the customer's own token.
pub(super) struct Payer<'a> {
    cloud: &'a LocalCloud,
    pub(super) customer: Customer,
    pub(super) api: Api,
}

impl<'a> Payer<'a> {
    pub(super) async fn add(cloud: &'a LocalCloud) -> anyhow::Result<Self> {
        let customer = cloud.add_customer(&NewCustomer::default()).await?;
        Ok(Self {
            cloud,
            api: Api::new(cloud, &customer)?,
            customer,
        })
    }

    /// A customer with a card and an open invoice of last month.
    pub(super) async fn with_invoice(cloud: &'a LocalCloud, card: &str) -> anyhow::Result<(Self, Value)> {
        let payer = Self::add(cloud).await?;
        payer.save_card(card).await?;
        payer.lives_through_last_month().await?;
        run(cloud, "create_invoices", Utc::now()).await?;
        let invoice = payer.newest_invoice().await?;
        ensure!(invoice["status"] == "open", "there is no invoice: {invoice}");
        Ok((payer, invoice))
    }

    /// Asks for the way to Stripe's page, where a card is saved.
    pub(super) async fn ask_for_page(&self) -> anyhow::Result<Answer> {
        let request = json!({
            "mode": "setup",
            "success_url": "https://app.example.com/billing?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://app.example.com/billing",
        });
        let key = uuid::Uuid::new_v4().to_string();
        self.api.post("/billing/checkout-sessions", &key, &request).await
    }

    /// Saves a card on Stripe's page and waits until the webhook has brought it.
    pub(super) async fn save_card(&self, number: &str) -> anyhow::Result<()> {
        let before = self.cards().await?.len();
        let page = self.ask_for_page().await?.body;
        let session = page["stripe_session_id"]
            .as_str()
            .context("there is no session")?;
        self.cloud.stripe().complete_checkout(session, number)?;
        let is_listed = until(|| async { self.cards().await.is_ok_and(|cards| cards.len() > before) }).await;
        ensure!(is_listed, "the card is not listed");
        Ok(())
    }

    /// The cards, the active one first.
    pub(super) async fn cards(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.api.get("/billing/payment-methods").await?.body;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Writes into the database what days have done that the story can't wait for: the account was opened on the 11th of
    /// last month, and two balances were taken.
    pub(super) async fn lives_through_last_month(&self) -> anyhow::Result<Month> {
        let mut database = PgConnection::connect(self.cloud.database_url()).await?;
        let (first, last): (NaiveDate, NaiveDate) = sqlx::query_as(
            "WITH month AS (SELECT date_trunc('month', now() AT TIME ZONE 'America/New_York') AS next_first), \
                  day AS (SELECT (next_first - interval '1 month')::DATE AS first, next_first::DATE - 1 AS last FROM month), \
                  account AS (UPDATE trading_accounts \
                      SET opened_at = (day.first + 10 + time '12:00') AT TIME ZONE 'America/New_York' \
                      FROM day WHERE id = $1), \
                  balances AS (INSERT INTO trading_account_balances \
                      (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of) \
                      SELECT $1, day.first + told.after, told.equity_cents, 0, 'USD', now() \
                      FROM day CROSS JOIN (VALUES (10, $2), (20, $3)) AS told (after, equity_cents)) \
             SELECT first, last FROM day",
        )
        .bind(self.customer.trading_account_id)
        .bind(FIRST_EQUITY)
        .bind(LATER_EQUITY)
        .fetch_one(&mut database)
        .await?;
        database.close().await?;
        Ok(Month {
            first,
            last,
            billable_days: (last - first).num_days() + 1 - 10,
        })
    }

    /// The newest invoice, as its owner sees it.
    pub(super) async fn newest_invoice(&self) -> anyhow::Result<Value> {
        let list = self.api.get("/billing/invoices").await?.body;
        Ok(list["items"][0].clone())
    }

    /// Waits until the newest invoice has come to this.
    pub(super) async fn invoice_becomes(&self, status: &str, attempts: usize) -> anyhow::Result<Value> {
        let has_come = |invoice: &Value| {
            let made = invoice["attempts"].as_array();
            let last = made.and_then(|made| made.last());
            invoice["status"] == status
                && made.is_some_and(|made| made.len() == attempts)
                && last.is_some_and(|last| !last["finished_at"].is_null())
        };
        until(|| async {
            self.newest_invoice()
                .await
                .is_ok_and(|invoice| has_come(&invoice))
        })
        .await;
        let invoice = self.newest_invoice().await?;
        ensure!(
            has_come(&invoice),
            "the invoice is not {status} after {attempts} attempts: {invoice}"
        );
        Ok(invoice)
    }

    /// What Stripe has of an invoice.
    pub(super) fn charges(&self, invoice: &Value) -> Charges {
        let key = format!("invoice-{}-", invoice["id"]);
        let stripe = self.cloud.stripe();
        let is_of = |attempt: &String| attempt.starts_with(&key);
        let mut intents = stripe.payment_intents();
        intents.retain(|intent| intent.metadata.get("moneta_attempt").is_some_and(is_of));
        let has_succeeded = |intent: &&_| matches!(intent, IntentStatus::Succeeded);
        let declined = stripe.charges().into_iter().filter(|charge| {
            charge.status == ChargeStatus::Failed
                && intents.iter().any(|intent| intent.id == charge.payment_intent)
        });
        Charges {
            declined: declined.count(),
            taken: intents
                .iter()
                .map(|intent| &intent.status)
                .filter(has_succeeded)
                .count(),
        }
    }

    /// Waits until the feed has so many notifications, and gives them, newest first.
    pub(super) async fn feed(&self, count: usize) -> anyhow::Result<Vec<Value>> {
        let items = || async {
            let feed = self.api.get("/notifications").await?.body;
            anyhow::Ok(feed["items"].as_array().cloned().unwrap_or_default())
        };
        until(|| async { items().await.is_ok_and(|items| items.len() >= count) }).await;
        items().await
    }

    /// Waits until so many mails were caught, and gives them, oldest first.
    pub(super) async fn mails(&self, count: usize) -> Vec<CaughtMail> {
        let mails = || self.cloud.mail().mails_to(&self.customer.email);
        until(|| async { mails().len() >= count }).await;
        mails()
    }

    /// Waits until so many messages have come to the phone, and says whether there are just these.
    pub(super) async fn is_pushed(&self, count: usize) -> bool {
        let pushes = || {
            self.cloud
                .firebase()
                .messages_to(&self.customer.device_token)
                .len()
        };
        until(|| async { pushes() >= count }).await;
        pushes() == count
    }

    /// How many notifications are unread.
    pub(super) async fn unread(&self) -> anyhow::Result<Value> {
        Ok(self.api.get("/notifications/unread-count").await?.body["unread"].clone())
    }
}

/// Runs a schedule as if it were a time; gives its report.
pub(super) async fn run(cloud: &LocalCloud, job: &str, at: DateTime<Utc>) -> anyhow::Result<Value> {
    let result = cloud
        .run_schedule(job, Some(json!({ "scheduled_time": at })))
        .await?;
    ensure!(
        result.function_error.is_none(),
        "{job} failed: {}",
        result.payload
    );
    Ok(result.payload)
}

/// When an invoice is charged for the first time.
pub(super) fn due(invoice: &Value) -> anyhow::Result<DateTime<Utc>> {
    let due: DateTime<Utc> = serde_json::from_value(invoice["due_date"].clone())?;
    // What the API shows may be rounded.
    Ok(due + TimeDelta::seconds(1))
}

/// The notification of a kind.
pub(super) fn told<'a>(feed: &'a [Value], kind: &str) -> Option<&'a Value> {
    feed.iter().find(|item| item["kind"] == kind)
}

/// A text of something that may not be there.
pub(super) fn shown<'a>(item: Option<&'a Value>, field: &str) -> &'a str {
    item.and_then(|item| item[field].as_str()).unwrap_or_default()
}

/// `$1,234.56`.
pub(super) fn dollars(cents: &Value) -> String {
    let cents = cents.as_i64().unwrap_or_default();
    let whole = (cents / 100).to_string();
    let places = whole.len();
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (places - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("${grouped}.{:02}", cents % 100)
}
