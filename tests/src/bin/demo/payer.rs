//! A customer who pays commissions: cards at Stripe, an invoice of last month, and what the customer is told.

use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use end_to_end::{Fixture, Result, Tester, eventually};
use local_cloud::sandboxes::{CaughtMail, stripe::ChargeStatus};
use serde_json::Value;

use super::checks::until;

/// What an account is worth from its opening on the 11th of last month.
pub(crate) const FIRST_EQUITY: i64 = 2_000_000;
/// And from the 21st on.
pub(crate) const LATER_EQUITY: i64 = 3_000_000;

/// The days of last month.
#[derive(Clone, Copy)]
pub(crate) struct Month {
    pub(crate) first: NaiveDate,
    pub(crate) last: NaiveDate,
    /// From the opening on.
    pub(crate) billable_days: i64,
}

/// What Stripe has of an invoice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Charges {
    pub(crate) taken: usize,
    pub(crate) declined: usize,
}

/// A customer with the app in hand.
pub(crate) struct Payer<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) tester: Tester,
}

impl<'a> Payer<'a> {
    pub(crate) async fn add(fixture: &'a Fixture) -> Result<Self> {
        let tester = fixture.customer().await?;
        Ok(Self { fixture, tester })
    }

    /// A customer with a card and an open invoice of last month.
    pub(crate) async fn with_invoice(fixture: &'a Fixture, card: &str) -> Result<(Self, Value)> {
        let payer = Self::add(fixture).await?;
        payer.tester.save_card(fixture, card).await?;
        payer.live_through_last_month().await?;
        fixture.bill("create_invoices", Utc::now()).await?;
        let invoice = payer.newest_invoice().await?;
        ensure!(invoice["status"] == "open", "there is no invoice: {invoice}");
        Ok((payer, invoice))
    }

    /// Writes into the database what days have done that nobody can wait for here: the account was opened on the 11th
    /// of last month, and two balances were taken.
    pub(crate) async fn live_through_last_month(&self) -> Result<Month> {
        let (first, last): (NaiveDate, NaiveDate) = sqlx::query_as(
            "WITH month AS (SELECT date_trunc('month', now() AT TIME ZONE 'America/New_York') AS next_first), \
                  day AS (SELECT (next_first - interval '1 month')::DATE AS first, next_first::DATE - 1 AS last FROM month), \
                  account AS (UPDATE trading_accounts \
                      SET opened_at = (day.first + 10 + time '12:00') AT TIME ZONE 'America/New_York' \
                      FROM day WHERE id = $1), \
                  balances AS (INSERT INTO trading_account_balances \
                      (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of) \
                      SELECT $1, day.first + taken.after, taken.equity_cents, 0, 'USD', now() \
                      FROM day CROSS JOIN (VALUES (10, $2), (20, $3)) AS taken (after, equity_cents)) \
             SELECT first, last FROM day",
        )
        .bind(self.tester.customer.trading_account_id)
        .bind(FIRST_EQUITY)
        .bind(LATER_EQUITY)
        .fetch_one(self.fixture.database.pool())
        .await?;
        Ok(Month {
            first,
            last,
            billable_days: (last - first).num_days() + 1 - 10,
        })
    }

    /// The newest invoice, as its owner sees it.
    pub(crate) async fn newest_invoice(&self) -> Result<Value> {
        let list = self.tester.api.get("/billing/invoices").await?.expect(200)?;
        Ok(list.body["items"][0].clone())
    }

    /// Waits until the newest invoice has a status after so many attempts that have ended.
    pub(crate) async fn invoice_becomes(&self, status: &str, attempts: usize) -> Result<Value> {
        eventually(
            &format!("the invoice is {status} after {attempts} attempts"),
            async || {
                let invoice = self.newest_invoice().await?;
                let made = invoice["attempts"].as_array().context("no attempts")?;
                let has_ended = made.last().is_some_and(|last| !last["finished_at"].is_null());
                ensure!(
                    invoice["status"] == status && made.len() == attempts && has_ended,
                    "it is {invoice}"
                );
                Ok(invoice)
            },
        )
        .await
    }

    /// What Stripe has of an invoice.
    pub(crate) fn charges(&self, invoice: &Value) -> Charges {
        let key = format!("invoice-{}-", invoice["id"]);
        let stripe = self.fixture.cloud.stripe();
        let is_of = |attempt: &String| attempt.starts_with(&key);
        let mut intents = stripe.payment_intents();
        intents.retain(|intent| intent.metadata.get("moneta_attempt").is_some_and(is_of));
        let declined = stripe.charges().into_iter().filter(|charge| {
            charge.status == ChargeStatus::Failed
                && intents.iter().any(|intent| intent.id == charge.payment_intent)
        });
        Charges {
            declined: declined.count(),
            taken: self.fixture.charged(invoice["id"].as_i64().unwrap_or_default()),
        }
    }

    /// Waits until so many mails were caught, and gives them, oldest first.
    pub(crate) async fn mails(&self, count: usize) -> Vec<CaughtMail> {
        let mails = || self.fixture.cloud.mail().mails_to(&self.tester.customer.email);
        until(async || Ok(mails().len() >= count)).await;
        mails()
    }

    /// Waits until so many messages have come to the phone, and says whether there are just these.
    pub(crate) async fn is_pushed(&self, count: usize) -> bool {
        let phone = &self.tester.customer.device_token;
        let pushes = || self.fixture.cloud.firebase().messages_to(phone).len();
        until(async || Ok(pushes() >= count)).await;
        pushes() == count
    }
}

/// When an invoice is charged for the first time.
pub(crate) fn due(invoice: &Value) -> Result<DateTime<Utc>> {
    let due: DateTime<Utc> = serde_json::from_value(invoice["due_date"].clone())?;
    // Noon or so: days can be added to it whether or not clocks change on the way.
    Ok(due + TimeDelta::hours(12))
}

/// The notification, or preference, of a kind.
pub(crate) fn of_kind<'a>(items: &'a [Value], kind: &str) -> Option<&'a Value> {
    items.iter().find(|item| item["kind"] == kind)
}

/// `$1,234.56`.
pub(crate) fn dollars(cents: &Value) -> String {
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
