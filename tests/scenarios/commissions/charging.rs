//! Charging: declines and their schedule, confirmations, suspension. The clock is the time of the run, which scenarios move.

use std::sync::{Arc, LazyLock};

use anyhow::{Context, ensure};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::market::MarketCalendar;
use end_to_end::billing::{ASKS_ALWAYS, DECLINES_LATER, VISA};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    // Alone are those that run the schedule, which charges whatever is due.
    scenarios![
        soft_decline_is_retried_on_its_days_and_then_given_up,
        alone(due_invoices_are_picked_and_charged_by_the_schedule),
        alone(hard_decline_waits_for_another_card),
        alone(card_saved_before_a_stolen_one_is_charged_when_that_is_deleted),
        stolen_card_that_is_chosen_again_is_not_charged_again,
        suspension_lasts_until_nothing_is_owed,
        profile_without_a_card_is_notified_once,
        charge_that_needs_its_customer_waits_for_the_confirmation,
        charge_is_cancelled_when_its_confirmation_does_not_come,
        charge_in_processing_is_ended_by_the_webhook,
        invoice_that_is_not_due_or_not_owed_is_left_alone,
        second_payment_of_an_attempt_is_set_aside,
        invoice_is_served_as_pdf_on_request,
    ]
}

pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Noon in New York of the day so many days after the first day of these scenarios. That day is the one after they begin, so
/// that the clock never comes in between: in one scenario, no midnight lies between two times that name the same day.
pub(crate) fn in_days(days: u64) -> DateTime<Utc> {
    static FIRST: LazyLock<NaiveDate> = LazyLock::new(|| MarketCalendar::business_date(now()) + Days::new(1));
    MarketCalendar::start_of(*FIRST + Days::new(days)) + TimeDelta::hours(12)
}

/// The one card that the profile has at Stripe.
pub(crate) fn card_of(fixture: &Fixture, tester: &Tester) -> Result<String> {
    let profile = tester.customer.profile_id.to_string();
    let stripe = fixture.cloud.stripe();
    let customers = stripe.customers();
    let customer = customers
        .iter()
        .find(|customer| customer.metadata.get("profile_id") == Some(&profile))
        .context("no customer")?;
    Ok(stripe.payment_methods(&customer.id).pop().context("no card")?.id)
}

pub(crate) async fn with_card(fixture: &Fixture, number: &str) -> Result<Tester> {
    let tester = fixture.customer().await?;
    tester.save_card(fixture, number).await?;
    fixture.cloud.stripe().webhooks_settled().await;
    Ok(tester)
}

pub(crate) fn statuses(attempts: &[end_to_end::billing::AttemptRow]) -> Vec<&str> {
    attempts.iter().map(|attempt| attempt.status.as_str()).collect()
}

async fn soft_decline_is_retried_on_its_days_and_then_given_up(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, DECLINES_LATER).await?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    // Attempts after 0, 1, 1 + 3, 1 + 3 + 5 and 1 + 3 + 5 + 7 days; on the days between, nothing.
    for (day, attempts) in [
        (0, 1),
        (0, 1),
        (1, 2),
        (2, 2),
        (4, 3),
        (8, 3),
        (9, 4),
        (15, 4),
        (16, 5),
        (40, 5),
    ] {
        fixture.pay(invoice, in_days(day)).await?;
        ensure_eq!(fixture.attempts(invoice).await?.len(), attempts, "on day {day}");
    }
    let attempts = fixture.attempts(invoice).await?;
    ensure_eq!(statuses(&attempts), ["failed"; 5]);
    ensure_eq!(attempts[0].failure_code.as_deref(), Some("generic_decline"));
    let row = fixture.invoice_row(invoice).await?;
    ensure_eq!(
        (row.status.as_str(), row.failed_attempts, row.next_attempt_at),
        ("uncollectible", 5, None)
    );
    let failed = "commission.charge-failed";
    ensure_eq!(
        fixture.event_kinds_of(&tester).await?,
        [
            "payment-method.added",
            failed,
            failed,
            failed,
            failed,
            failed,
            "invoice.uncollectible",
            "trading.suspended"
        ]
    );
    let shown = tester.invoice(invoice).await?;
    ensure_eq!(shown["attempts"][0]["failure_reason"], json!("card_declined"));
    ensure_eq!(fixture.charged(invoice), 0);
    Ok(())
}

async fn due_invoices_are_picked_and_charged_by_the_schedule(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let mut invoices = Vec::new();
    for amount in [900, 901, 902] {
        invoices.push(fixture.invoice(&tester, amount).await?);
    }
    // Twice, as schedules may.
    fixture.bill("pay_invoices", now()).await?;
    fixture.bill("pay_invoices", now()).await?;
    for invoice in invoices {
        fixture.invoice_reaches(invoice, "paid").await?;
        ensure_eq!(fixture.charged(invoice), 1);
        ensure_eq!(fixture.attempts(invoice).await?.len(), 1);
    }
    Ok(())
}

async fn hard_decline_waits_for_another_card(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let card = card_of(&fixture, &tester)?;
    fixture
        .cloud
        .stripe()
        .decline_from_now_on(&card, Some("stolen_card"))?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    fixture.pay(invoice, in_days(0)).await?;
    ensure_eq!(
        fixture.attempts(invoice).await?[0].failure_code.as_deref(),
        Some("stolen_card")
    );
    ensure_eq!(fixture.invoice_row(invoice).await?.next_attempt_at, None);
    for day in [1, 4, 9, 15] {
        fixture.pay(invoice, in_days(day)).await?;
        ensure_eq!(fixture.attempts(invoice).await?.len(), 1, "on day {day}");
    }
    tester.save_card(&fixture, "5555555555554444").await?;
    fixture.bill("pay_invoices", now()).await?;
    fixture.invoice_reaches(invoice, "paid").await?;
    ensure_eq!(
        statuses(&fixture.attempts(invoice).await?),
        ["failed", "succeeded"]
    );
    ensure_eq!(fixture.charged(invoice), 1);
    Ok(())
}

async fn card_saved_before_a_stolen_one_is_charged_when_that_is_deleted(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = with_card(&fixture, "5555555555554444").await?;
    let earlier = card_of(&fixture, &tester)?;
    let stolen = tester.save_card(&fixture, VISA).await?;
    let profile = tester.customer.profile_id.to_string();
    let customers = stripe.customers().into_iter();
    let mut cards = customers
        .filter(|customer| customer.metadata.get("profile_id") == Some(&profile))
        .flat_map(|customer| stripe.payment_methods(&customer.id));
    let later = cards
        .find(|card| card.id != earlier)
        .context("no second card")?
        .id;
    stripe.decline_from_now_on(&later, Some("stolen_card"))?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    fixture.pay(invoice, now()).await?;
    ensure_eq!(statuses(&fixture.attempts(invoice).await?), ["failed"]);
    // What is left was never tried, though it was saved long before the charge.
    tester.delete_method(stolen).await?.expect(200)?;
    fixture.bill("pay_invoices", now()).await?;
    fixture.invoice_reaches(invoice, "paid").await?;
    ensure_eq!(
        statuses(&fixture.attempts(invoice).await?),
        ["failed", "succeeded"]
    );
    Ok(())
}

async fn stolen_card_that_is_chosen_again_is_not_charged_again(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let card = card_of(&fixture, &tester)?;
    let stripe = fixture.cloud.stripe();
    stripe.decline_from_now_on(&card, Some("stolen_card"))?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    fixture.pay(invoice, now()).await?;
    let methods = tester.methods().await?;
    let id = methods[0]["id"].as_i64().context("no id")?;
    for day in [0, 1] {
        tester.activate(id).await?.expect(200)?;
        fixture.pay(invoice, in_days(day)).await?;
        ensure_eq!(fixture.attempts(invoice).await?.len(), 1, "on day {day}");
    }
    Ok(())
}

async fn suspended_reason(tester: &Tester) -> Result<Value> {
    Ok(tester.profile().await?["buying_suspended_since"].clone())
}

async fn suspension_lasts_until_nothing_is_owed(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let card = card_of(&fixture, &tester)?;
    fixture
        .cloud
        .stripe()
        .decline_from_now_on(&card, Some("insufficient_funds"))?;
    let (first, second) = (
        fixture.invoice(&tester, 1_000).await?,
        fixture.invoice(&tester, 2_000).await?,
    );
    ensure_eq!(suspended_reason(&tester).await?, Value::Null);
    for day in [0, 1, 4, 9, 16] {
        fixture.pay(first, in_days(day)).await?;
    }
    ensure_eq!(fixture.invoice_row(first).await?.status, "uncollectible");
    ensure!(
        suspended_reason(&tester).await?.is_string(),
        "buying isn't suspended"
    );
    fixture.pay(second, now()).await?;
    // Selling and withdrawing stay possible.
    let withdrawal = tester.withdraw(100).await?;
    ensure_eq!(withdrawal.status, 201, "a withdrawal while buying is suspended");
    // A new card pays the one; the other is still owed.
    tester.save_card(&fixture, "5555555555554444").await?;
    fixture.pay(first, now()).await?;
    ensure_eq!(fixture.invoice_row(first).await?.status, "paid");
    ensure!(
        suspended_reason(&tester).await?.is_string(),
        "resumed although 2,000 cents are owed"
    );
    fixture.pay(second, now()).await?;
    ensure_eq!(suspended_reason(&tester).await?, Value::Null);
    let told = fixture.event_kinds_of(&tester).await?;
    let count = |kind: &str| told.iter().filter(|told| *told == kind).count();
    ensure_eq!(
        (
            count("trading.suspended"),
            count("trading.resumed"),
            count("commission.charged")
        ),
        (1, 1, 2)
    );
    Ok(())
}

async fn profile_without_a_card_is_notified_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    for day in [0, 1, 2, 15] {
        fixture.pay(invoice, in_days(day)).await?;
        ensure_eq!(
            fixture.event_kinds_of(&tester).await?,
            ["commission.charge-failed"],
            "on day {day}"
        );
    }
    fixture.pay(invoice, in_days(17)).await?;
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "uncollectible");
    tester.save_card(&fixture, VISA).await?;
    fixture.pay(invoice, now()).await?;
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
    ensure_eq!(suspended_reason(&tester).await?, Value::Null);
    Ok(())
}

async fn charge_that_needs_its_customer_waits_for_the_confirmation(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, ASKS_ALWAYS).await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    fixture.pay(invoice, now()).await?;
    let attempts = fixture.attempts(invoice).await?;
    ensure_eq!(statuses(&attempts), ["requires_action"]);
    let intent = attempts[0].payment_intent_id.clone().context("no payment")?;
    let shown = tester.invoice(invoice).await?;
    let secret = shown["confirmation"]["client_secret"]
        .as_str()
        .context("no secret")?;
    ensure!(secret.starts_with(&intent), "a secret of another payment");
    let stored = "SELECT count(*) FROM invoice_payments WHERE invoice_id = $1 AND response::TEXT LIKE '%client_secret%'";
    ensure_eq!(
        fixture.database.count(stored, invoice).await?,
        0,
        "the secret is kept"
    );
    // In flight: nobody charges it again, on any of the seven days that its customer has.
    for day in [0, 1, 5] {
        fixture.pay(invoice, in_days(day)).await?;
        ensure_eq!(
            statuses(&fixture.attempts(invoice).await?),
            ["requires_action"],
            "on day {day}"
        );
    }
    fixture.cloud.stripe().customer_confirms(&intent, true)?;
    fixture.invoice_reaches(invoice, "paid").await?;
    ensure_eq!(fixture.charged(invoice), 1);
    let told = fixture.event_kinds_of(&tester).await?;
    ensure_eq!(
        told,
        [
            "payment-method.added",
            "commission.confirmation-required",
            "commission.charged"
        ]
    );
    Ok(())
}

async fn charge_is_cancelled_when_its_confirmation_does_not_come(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, ASKS_ALWAYS).await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    fixture.pay(invoice, now()).await?;
    let intent = fixture.attempts(invoice).await?[0]
        .payment_intent_id
        .clone()
        .context("no payment")?;
    fixture.pay(invoice, in_days(8)).await?;
    eventually("it is called off", async || {
        let first = &fixture.attempts(invoice).await?[0];
        ensure_eq!(
            (first.status.as_str(), first.failure_code.as_deref()),
            ("failed", Some("confirmation_expired"))
        );
        Ok(())
    })
    .await?;
    // Nobody can confirm it any more.
    ensure!(
        fixture.cloud.stripe().customer_confirms(&intent, true).is_err(),
        "it can still be confirmed"
    );
    ensure_eq!(fixture.charged(invoice), 0);
    Ok(())
}

async fn charge_in_processing_is_ended_by_the_webhook(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let card = card_of(&fixture, &tester)?;
    fixture.cloud.stripe().goes_processing(&card, true)?;
    for succeeds in [true, false] {
        let invoice = fixture.invoice(&tester, 1_000).await?;
        fixture.pay(invoice, now()).await?;
        fixture.pay(invoice, in_days(3)).await?;
        let attempts = fixture.attempts(invoice).await?;
        ensure_eq!(statuses(&attempts), ["processing"]);
        let intent = attempts[0].payment_intent_id.clone().context("no payment")?;
        fixture.cloud.stripe().settle_processing(&intent, succeeds)?;
        let (attempt, status) = if succeeds {
            ("succeeded", "paid")
        } else {
            ("failed", "open")
        };
        eventually("the bank's word is taken over", async || {
            ensure_eq!(statuses(&fixture.attempts(invoice).await?), [attempt]);
            Ok(())
        })
        .await?;
        ensure_eq!(fixture.invoice_row(invoice).await?.status, status);
    }
    Ok(())
}

async fn invoice_that_is_not_due_or_not_owed_is_left_alone(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let (future, void) = (
        fixture.invoice(&tester, 1_000).await?,
        fixture.invoice(&tester, 1_000).await?,
    );
    let change = async |sql, id| fixture.database.change(sql, id).await;
    change(
        "UPDATE invoices SET due_date = now() + interval '2 days' WHERE id = $1",
        future,
    )
    .await?;
    change("UPDATE invoices SET status = 'void' WHERE id = $1", void).await?;
    for invoice in [future, void, 9_999_999] {
        ensure!(
            fixture.pay(invoice, now()).await?,
            "a message about nothing to do failed"
        );
        ensure!(
            fixture.attempts(invoice).await?.is_empty(),
            "invoice {invoice} was charged"
        );
    }
    fixture.pay(future, in_days(2)).await?;
    ensure_eq!(fixture.invoice_row(future).await?.status, "paid");
    Ok(())
}

async fn second_payment_of_an_attempt_is_set_aside(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, DECLINES_LATER).await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    fixture.pay(invoice, now()).await?;
    let failed = fixture.attempts(invoice).await?[0]
        .payment_intent_id
        .clone()
        .context("no payment")?;
    // Before the next attempt the earlier one is closed at Stripe: nobody can pay it any more.
    tester.save_card(&fixture, VISA).await?;
    fixture.pay(invoice, now()).await?;
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
    let earlier = fixture
        .cloud
        .stripe()
        .payment_intent(&failed)
        .context("it is gone")?;
    ensure_eq!(json!(earlier.status), json!("canceled"));
    ensure_eq!(fixture.charged(invoice), 1);
    Ok(())
}

async fn invoice_is_served_as_pdf_on_request(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (with_card(&fixture, VISA).await?, fixture.customer().await?);
    let invoice = fixture.invoice(&tester, 123_456).await?;
    fixture.pay(invoice, now()).await?;
    let path = format!("/billing/invoices/{invoice}");
    let ask = async |tester: &Tester| {
        let request = tester
            .api
            .request(reqwest::Method::GET, &path)
            .header("accept", "application/pdf");
        anyhow::Ok(request.send().await?)
    };
    let answer = ask(&tester).await?;
    ensure_eq!(answer.headers()["content-type"].to_str()?, "application/pdf");
    let disposition = answer.headers()["content-disposition"].to_str()?.to_owned();
    ensure_eq!(
        disposition,
        format!("attachment; filename=\"INV-{invoice:06}.pdf\"")
    );
    let bytes = answer.bytes().await?;
    let text: String = pdf_extract::extract_text_from_mem(&bytes)?
        .split_whitespace()
        .collect();
    for part in [
        "$1,234.56",
        &format!("INV-{invoice:06}"),
        "visa••••4242",
        "Paidon",
    ] {
        ensure!(text.contains(part), "{part} is not in {text}");
    }
    ensure_eq!(ask(&other).await?.status().as_u16(), 404);
    // Without asking for it, it is JSON.
    ensure_eq!(tester.invoice(invoice).await?["amount_cents"], json!(123_456));
    Ok(())
}
