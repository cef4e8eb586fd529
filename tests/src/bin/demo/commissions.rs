//! Commissions: cards saved at Stripe, invoices of last month, and charges that go well, badly, or
//! through without an answer. Stripe sends every webhook twice here.

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use end_to_end::{
    Fixture, Result,
    billing::{VISA, setup_request},
    wallets::new_key,
};
use futures::future::try_join_all;
use local_cloud::{
    progress::say,
    sandboxes::{Effect, stripe::ReleaseOrder},
};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    checks::{Checks, quote, shown, until},
    declines,
    payer::{Charges, FIRST_EQUITY, LATER_EQUITY, Month, Payer, dollars, due, of_kind},
};

/// The yearly rate.
const RATE: Decimal = Decimal::from_parts(96, 0, 0, false, 4);
/// Once the money was taken.
const PAID: Charges = Charges {
    taken: 1,
    declined: 0,
};

/// Plays the chapters.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    fixture.cloud.stripe().repeat_webhooks(1);
    let payer = Payer::add(fixture).await?;
    save_a_card(fixture, &payer, checks).await?;
    let invoice = invoice_last_month(fixture, &payer, checks).await?;
    pay_when_due(fixture, &payer, &invoice, checks).await?;
    declines::play(fixture, checks).await?;
    lose_the_answer(fixture, checks).await
}

async fn save_a_card(fixture: &Fixture, payer: &Payer<'_>, checks: &mut Checks) -> Result {
    say("\n11. Commissions: a customer saves a card on Stripe's page");
    let api = &payer.tester.api;
    let answer = api
        .post("/billing/checkout-sessions", &new_key(), &setup_request())
        .await?;
    let url = answer.body["url"].as_str().unwrap_or_default();
    let page = local_cloud::http_client()?.get(url).send().await?;
    checks.that(
        "the API gives the page's address, and there is the page",
        answer.status == 201 && page.status().is_success(),
    );
    say(format_args!("     ({url})"));
    let session = answer.body["stripe_session_id"].as_str();
    fixture
        .cloud
        .stripe()
        .complete_checkout(session.context("there is no session")?, VISA)?;
    until(async || Ok(!payer.tester.methods().await?.is_empty())).await;
    fixture.cloud.stripe().webhooks_settled().await;
    let cards = payer.tester.methods().await?;
    checks.that(
        "Stripe's signed webhooks bring the card: listed once, and active",
        cards.len() == 1 && cards.iter().all(|card| card["active"] == true),
    );
    say(format_args!("     ({})", shown(cards.first(), "name")));
    let forged = json!({ "id": "evt_1", "object": "event", "type": "setup_intent.succeeded" });
    let forged = api.post("/webhooks/stripe", "unused", &forged).await?;
    checks.that(
        "a webhook that Stripe has not signed is refused",
        (400..500).contains(&forged.status),
    );
    Ok(())
}

async fn invoice_last_month(fixture: &Fixture, payer: &Payer<'_>, checks: &mut Checks) -> Result<Value> {
    say("\n12. The invoice of last month");
    fixture.bill("update_account_balances", Utc::now()).await?;
    let account = fixture
        .cloud
        .drivewealth()
        .account(&payer.tester.customer.drivewealth_account_id);
    let equity = account.map(|account| account.equity_cents);
    let is_taken = until(async || {
        let profile = payer.tester.profile().await?;
        Ok(equity.is_some() && profile["equity_cents"].as_i64() == equity)
    });
    checks.that(
        "the schedule of balances takes today's from the broker",
        is_taken.await,
    );
    let month = payer.live_through_last_month().await?;
    say(
        "     (last month is written into the database: opened on the 11th with $20,000.00, $30,000.00 from the 21st on)",
    );

    let report = fixture.bill("create_invoices", Utc::now()).await?;
    let invoice = payer.newest_invoice().await?;
    checks.that(
        "the schedule of invoices makes it: open, of that month",
        report["periods"][0]["created"] == 1
            && invoice["status"] == "open"
            && invoice["period_start"] == month.first.to_string()
            && invoice["period_end"] == month.last.to_string(),
    );
    let calculation = &invoice["calculation"];
    checks.that(
        "its amount is the average of the days from the 11th on × 0.96 % × days ÷ 365",
        calculation["billable_days"] == month.billable_days && invoice["amount_cents"] == amount(month),
    );
    say(format_args!(
        "     ({} on average for {} days, {} a year: {})",
        dollars(&calculation["average_equity_cents"]),
        calculation["billable_days"],
        dollars(&calculation["yearly_commission_cents"]),
        dollars(&invoice["amount_cents"]),
    ));
    let again = fixture.bill("create_invoices", Utc::now()).await?;
    checks.that("a second run adds nothing", again["periods"][0]["created"] == 0);
    show_pdf(payer, &invoice, checks).await?;
    Ok(invoice)
}

async fn show_pdf(payer: &Payer<'_>, invoice: &Value, checks: &mut Checks) -> Result {
    let path = format!("/billing/invoices/{}", invoice["id"]);
    let request = payer.tester.api.request(Method::GET, &path);
    let file = request.header(ACCEPT, "application/pdf").send().await?;
    let is_pdf = file
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/pdf");
    let bytes = file.bytes().await?;
    checks.that(
        "the invoice is there as a PDF",
        is_pdf && bytes.starts_with(b"%PDF"),
    );
    say(format_args!("     ({} bytes)", bytes.len()));
    Ok(())
}

/// What the month costs, in cents.
fn amount(month: Month) -> i64 {
    let equity_sum = FIRST_EQUITY * 10 + LATER_EQUITY * (month.billable_days - 10);
    let amount = (Decimal::from(equity_sum) * RATE / Decimal::from(365)).round();
    i64::try_from(amount).unwrap_or_default()
}

async fn pay_when_due(fixture: &Fixture, payer: &Payer<'_>, invoice: &Value, checks: &mut Checks) -> Result {
    say("\n13. The day on which it is due");
    let receipts =
        json!({ "items": [{ "kind": "commission.charged", "feed": true, "push": true, "mail": true }] });
    let preferences = payer
        .tester
        .api
        .put("/notifications/preferences", &receipts)
        .await?;
    checks.that(
        "receipts are mailed; this customer wants them on the phone, too",
        preferences.status == 200,
    );
    let due = due(invoice)?;
    let early = fixture.bill("pay_invoices", due - TimeDelta::days(1)).await?;
    let picked = fixture.bill("pay_invoices", due).await?;
    checks.that(
        "the schedule of payments leaves it alone until then, and then picks it",
        early["invoices"] == 0 && picked["invoices"] == 1,
    );
    let paid = payer.invoice_becomes("paid", 1).await?;
    checks.that(
        "the card is charged, and the invoice paid",
        paid["attempts"][0]["status"] == "succeeded",
    );
    let history = payer.tester.api.get("/billing/commissions").await?.body;
    checks.that(
        "the history has it, and the year's total",
        history["items"][0]["invoice_id"] == invoice["id"]
            && history["items"][0]["amount_cents"] == invoice["amount_cents"]
            && history["totals"][0]["amount_cents"] == invoice["amount_cents"],
    );
    let feed = payer.tester.feed_reaches(1).await?;
    checks.that(
        "a notification is listed, and counted as unread",
        feed.len() == 1
            && of_kind(&feed, "commission.charged").is_some()
            && payer.tester.unread().await? == 1,
    );
    quote(feed.first(), "body");
    let mails = payer.mails(1).await;
    let amount = dollars(&invoice["amount_cents"]);
    let says_so = |part: &str| part.contains(&amount) && part.contains("4242");
    checks.that(
        "the receipt is mailed, as text and as HTML, with amount and card",
        mails.len() == 1
            && mails
                .iter()
                .all(|mail| says_so(&mail.text) && says_so(&mail.html)),
    );
    checks.that("and pushed to the phone, once", payer.is_pushed(1).await);
    fixture.cloud.stripe().webhooks_settled().await;
    checks.that(
        "Stripe has taken the money once, though it has told everything twice",
        payer.charges(invoice) == PAID && payer.newest_invoice().await? == paid,
    );
    Ok(())
}

async fn lose_the_answer(fixture: &Fixture, checks: &mut Checks) -> Result {
    say("\n17. Stripe takes the money, and its answer is lost");
    let (payer, invoice) = Payer::with_invoice(fixture, VISA).await?;
    let due = due(&invoice)?;
    fixture.cloud.stripe().hold_webhooks();
    let lost = Effect::Reset { after_doing: true };
    fixture
        .cloud
        .stripe()
        .fail_operation("create_payment_intent", lost, 1)?;
    fixture.bill("pay_invoices", due).await?;
    let is_charged = until(async || Ok(payer.charges(&invoice) == PAID)).await;
    let shown = payer.newest_invoice().await?;
    checks.that(
        "it is not guessed what came of it: the attempt is unknown, the invoice open",
        is_charged && shown["status"] == "open" && shown["attempts"][0]["status"] == "unknown",
    );
    // Whoever asked has to have given up before somebody else asks.
    let later = due + TimeDelta::hours(1);
    let is_found = until(async || {
        let report = fixture.bill("reconcile_billing", later).await?;
        Ok(report["looked_up"] == 1 && report["failed"] == 0)
    })
    .await;
    let paid = payer.invoice_becomes("paid", 1).await?;
    checks.that(
        "the reconciliation asks Stripe, finds the payment, and the invoice is paid",
        is_found && paid["attempts"][0]["status"] == "succeeded",
    );
    fixture
        .cloud
        .stripe()
        .release_webhooks(&ReleaseOrder::NewestFirst)
        .await?;
    fixture.cloud.stripe().webhooks_settled().await;
    let runs = (0..3).map(|_| fixture.bill("pay_invoices", later));
    let picked = try_join_all(runs).await?;
    checks.that(
        "the late webhooks, the newest first and each twice, and three more runs at once change nothing",
        picked.iter().all(|report| report["invoices"] == 0) && payer.newest_invoice().await? == paid,
    );
    checks.that("Stripe has taken the money once", payer.charges(&invoice) == PAID);
    checks.that(
        "and the customer is told once",
        payer.tester.feed_reaches(1).await?.len() == 1 && payer.mails(1).await.len() == 1,
    );
    let report = fixture
        .bill("reconcile_billing", later + TimeDelta::days(1))
        .await?;
    checks.that(
        "the next reconciliation has nothing left to look up, and finds no difference",
        report["looked_up"] == 0 && report["differences"] == 0 && report["parked"] == 0,
    );
    Ok(())
}
