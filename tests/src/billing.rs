//! Cards and invoices, as their owner and the schedules see them.

use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::wallets::new_key;
use crate::{Answer, Fixture, Result, Tester, eventually, new_domain_event};

/// Stripe's test card that always pays.
pub const VISA: &str = "4242424242424242";
/// One that can be saved, and is declined when it is charged.
pub const DECLINES_LATER: &str = "4000000000000341";
/// One that asks for the customer at every charge.
pub const ASKS_ALWAYS: &str = "4000002760003184";

/// A row of `invoice_payments`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AttemptRow {
    /// Its number, from 1.
    pub attempt: i32,
    /// Where it stands.
    pub status: String,
    /// Whether the money was taken, where that is known.
    pub result: Option<bool>,
    /// Stripe's code of the failure.
    pub failure_code: Option<String>,
    /// The payment at Stripe.
    pub payment_intent_id: Option<String>,
}

/// A row of `invoices`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct InvoiceRow {
    /// Where it stands.
    pub status: String,
    /// Attempts that failed.
    pub failed_attempts: i32,
    /// When it is tried again by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
}

impl Tester {
    /// Requests a checkout session in mode `setup`; gives the session's id.
    ///
    /// # Errors
    /// When there is none.
    pub async fn checkout(&self) -> Result<String> {
        let answer = self
            .api
            .post("/billing/checkout-sessions", &new_key(), &setup_request())
            .await?
            .expect(201)?;
        let id = answer.body["stripe_session_id"].as_str();
        Ok(id.context("no session id")?.to_owned())
    }

    /// Saves a card on the payment page and takes it over; gives its id here.
    ///
    /// # Errors
    /// When that doesn't work.
    pub async fn save_card(&self, fixture: &Fixture, number: &str) -> Result<i64> {
        let session = self.checkout().await?;
        fixture.cloud.stripe().complete_checkout(&session, number)?;
        let answer = self.add_method(&session).await?;
        ensure!([200, 201].contains(&answer.status), "{answer:?}");
        answer.number("id")
    }

    /// Takes over the card of a session.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn add_method(&self, session: &str) -> Result<Answer> {
        let body = json!({ "stripe_session_id": session });
        self.api.post("/billing/payment-methods", &new_key(), &body).await
    }

    /// The saved cards.
    ///
    /// # Errors
    /// When they can't be had.
    pub async fn methods(&self) -> Result<Vec<Value>> {
        let answer = self.api.get("/billing/payment-methods").await?.expect(200)?;
        Ok(answer.body["items"].as_array().context("no items")?.clone())
    }

    /// Makes a card the active one.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn activate(&self, method: i64) -> Result<Answer> {
        let path = format!("/billing/payment-methods/{method}/active");
        let request = self.api.request(Method::PUT, &path).json(&json!({}));
        self.api.send(request).await
    }

    /// Deletes a card.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn delete_method(&self, method: i64) -> Result<Answer> {
        let path = format!("/billing/payment-methods/{method}");
        self.api.send(self.api.request(Method::DELETE, &path)).await
    }

    /// An invoice as its owner sees it.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn invoice(&self, invoice: i64) -> Result<Value> {
        let path = format!("/billing/invoices/{invoice}");
        Ok(self.api.get(&path).await?.expect(200)?.body)
    }
}

/// The request for a checkout session in mode `setup`.
pub fn setup_request() -> Value {
    json!({
        "mode": "setup",
        "success_url": "https://app.example.com/billing?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://app.example.com/billing",
    })
}

/// The message that asks for an invoice at the time of a run.
pub fn payment_due(invoice: i64, as_of: DateTime<Utc>) -> Value {
    let data = json!({ "invoice_id": invoice, "as_of": as_of });
    new_domain_event("invoice.payment-due", &format!("invoice-{invoice}"), data)
}

impl Fixture {
    /// Writes an invoice that is due since a day. Each is of another month.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn invoice(&self, tester: &Tester, amount_cents: i64) -> Result<i64> {
        let profile = tester.customer.profile_id;
        let earlier: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices WHERE profile_id = $1")
            .bind(profile)
            .fetch_one(self.database.pool())
            .await?;
        let months = chrono::Months::new(u32::try_from(earlier)?);
        let start = NaiveDate::from_ymd_opt(2020, 1, 1).context("no such day")? + months;
        let end = start + chrono::Months::new(1) - TimeDelta::days(1);
        let sql = "INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end) \
                   VALUES ($1, $2, 'USD', now() - interval '1 day', 'Commission', $3, $4) RETURNING id";
        let id = sqlx::query_scalar(sql)
            .bind(profile)
            .bind(amount_cents)
            .bind(start)
            .bind(end)
            .fetch_one(self.database.pool())
            .await?;
        Ok(id)
    }

    /// Does what is to be done about an invoice at a time, by a message of its own; gives whether that worked.
    ///
    /// # Errors
    /// When the function fails as a whole.
    pub async fn pay(&self, invoice: i64, as_of: DateTime<Utc>) -> Result<bool> {
        let failed = self
            .deliver("pay_invoice", &[payment_due(invoice, as_of)])
            .await?;
        Ok(failed.is_empty())
    }

    /// Runs a schedule of billing at a time; gives its report.
    ///
    /// # Errors
    /// When it fails.
    pub async fn bill(&self, job: &str, as_of: DateTime<Utc>) -> Result<Value> {
        let input = json!({ "scheduled_time": as_of });
        let result = self.cloud.run_schedule(job, Some(input)).await?;
        ensure!(result.function_error.is_none(), "{job}: {}", result.payload);
        Ok(result.payload)
    }

    /// The attempts to charge an invoice, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts(&self, invoice: i64) -> Result<Vec<AttemptRow>> {
        let sql = "SELECT attempt, status, result, failure_code, payment_intent_id FROM invoice_payments \
                   WHERE invoice_id = $1 ORDER BY attempt";
        let rows = sqlx::query_as(sql).bind(invoice);
        Ok(rows.fetch_all(self.database.pool()).await?)
    }

    /// An invoice as it is stored.
    ///
    /// # Errors
    /// When it isn't there.
    pub async fn invoice_row(&self, invoice: i64) -> Result<InvoiceRow> {
        let sql = "SELECT status, failed_attempts, next_attempt_at, paid_at FROM invoices WHERE id = $1";
        let row = sqlx::query_as(sql).bind(invoice);
        Ok(row.fetch_one(self.database.pool()).await?)
    }

    /// Waits until an invoice has a status.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn invoice_reaches(&self, invoice: i64, status: &str) -> Result {
        eventually(&format!("invoice {invoice} is {status}"), async || {
            let row = self.invoice_row(invoice).await?;
            crate::ensure_eq!(row.status, status);
            Ok(())
        })
        .await
    }

    /// How often Stripe has taken an invoice's money.
    pub fn charged(&self, invoice: i64) -> usize {
        let key = format!("invoice-{invoice}-");
        let intents = self.cloud.stripe().succeeded_intents();
        let is_of = |attempt: &String| attempt.starts_with(&key);
        intents
            .iter()
            .filter(|intent| intent.metadata.get("moneta_attempt").is_some_and(is_of))
            .count()
    }

    /// The events of a profile in the outbox, as kinds in their order, without what goes to more than one place twice.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_kinds_of(&self, tester: &Tester) -> Result<Vec<String>> {
        let rows = self
            .database
            .outbox_of_key(&format!("profile-{}", tester.customer.profile_id))
            .await?;
        let mut seen: Vec<Uuid> = Vec::new();
        let mut kinds = Vec::new();
        for row in rows {
            if !seen.contains(&row.event_id) {
                seen.push(row.event_id);
                kinds.push(row.kind);
            }
        }
        Ok(kinds)
    }

    /// What of Stripe's objects was recorded for manual review, as kind and subject.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discrepancies(&self) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query_as("SELECT kind, subject FROM billing_discrepancies ORDER BY id");
        Ok(rows.fetch_all(self.database.pool()).await?)
    }
}
