//! The story of the commissions: cards saved at Stripe, invoices of last month, and charges that go well, badly, or
//! through without an answer. Stripe tells everything twice in it.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for what it doesn't have"
)]

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use futures::future::try_join_all;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    checks::{Checks, until},
    declines,
    payer::{Charges, FIRST_EQUITY, LATER_EQUITY, Month, Payer, VISA, dollars, due, run, shown, told},
    topic::Topic,
};
use crate::{
    LocalCloud,
    progress::say,
    sandboxes::{Effect, stripe::ReleaseOrder},
};

/// The yearly rate.
const RATE: Decimal = Decimal::from_parts(96, 0, 0, false, 4);
/// Once the money was taken.
const PAID: Charges = Charges {
    taken: 1,
    declined: 0,
};

/// Plays the story.
pub(super) async fn play(cloud: &LocalCloud, checks: &mut Checks) -> anyhow::Result<()> {
    let topic = Topic::open(cloud.kafka_brokers(), "commissions.events")?;
    cloud.stripe().repeat_webhooks(1);
    let payer = Payer::add(cloud).await?;
    save_a_card(cloud, &payer, checks).await?;
    let invoice = invoice_last_month(cloud, &payer, checks).await?;
    pay_when_due(cloud, &payer, &invoice, checks).await?;
    declines::play(cloud, &topic, checks).await?;
    lose_the_answer(cloud, checks).await
}

async fn save_a_card(cloud: &LocalCloud, payer: &Payer<'_>, checks: &mut Checks) -> anyhow::Result<()> {
    say("\n11. Commissions: a customer saves a card on Stripe's page");
    let answer = payer.ask_for_page().await?;
    let url = answer.body["url"].as_str().unwrap_or_default();
    let page = crate::http_client()?.get(url).send().await?;
    checks.that(
        "the API gives the page's address, and there is the page",
        answer.status == 201 && page.status().is_success(),
    );
    say(format_args!("     ({url})"));
    let session = answer.body["stripe_session_id"].as_str();
    cloud
        .stripe()
        .complete_checkout(session.context("there is no session")?, VISA)?;
    until(|| async { payer.cards().await.is_ok_and(|cards| !cards.is_empty()) }).await;
    cloud.stripe().webhooks_settled().await;
    let cards = payer.cards().await?;
    checks.that(
        "Stripe's signed webhooks bring the card: listed once, and active",
        cards.len() == 1 && cards.iter().all(|card| card["active"] == true),
    );
    say(format_args!("     ({})", shown(cards.first(), "name")));
    let forged = json!({ "id": "evt_1", "object": "event", "type": "setup_intent.succeeded" });
    let forged = payer.api.post("/webhooks/stripe", "unused", &forged).await?;
    checks.that(
        "a webhook that Stripe has not signed is refused",
        (400..500).contains(&forged.status),
    );
    Ok(())
}

async fn invoice_last_month(
    cloud: &LocalCloud,
    payer: &Payer<'_>,
    checks: &mut Checks,
) -> anyhow::Result<Value> {
    say("\n12. The invoice of last month");
    run(cloud, "update_account_balances", Utc::now()).await?;
    let account = cloud
        .drivewealth()
        .account(&payer.customer.drivewealth_account_id);
    let equity = account.map(|account| account.equity_cents);
    let is_taken = until(|| async {
        let profile = payer.api.get("/trading/profile").await;
        profile.is_ok_and(|profile| equity.is_some() && profile.body["equity_cents"].as_i64() == equity)
    });
    checks.that(
        "the schedule of balances takes today's from the broker",
        is_taken.await,
    );
    let month = payer.lives_through_last_month().await?;
    say(
        "     (last month is written into the database: opened on the 11th with $20,000.00, $30,000.00 from the 21st on)",
    );

    let report = run(cloud, "create_invoices", Utc::now()).await?;
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
    let again = run(cloud, "create_invoices", Utc::now()).await?;
    checks.that("a second run adds nothing", again["periods"][0]["created"] == 0);
    let file = payer
        .api
        .pdf(&format!("/billing/invoices/{}", invoice["id"]))
        .await?;
    checks.that(
        "the invoice is there as a PDF",
        file.media_type == "application/pdf" && file.bytes.starts_with(b"%PDF"),
    );
    say(format_args!("     ({} bytes)", file.bytes.len()));
    Ok(invoice)
}

/// What the month costs, in cents.
fn amount(month: Month) -> i64 {
    let equity_sum = FIRST_EQUITY * 10 + LATER_EQUITY * (month.billable_days - 10);
    let amount = (Decimal::from(equity_sum) * RATE / Decimal::from(365)).round();
    i64::try_from(amount).unwrap_or_default()
}

async fn pay_when_due(
    cloud: &LocalCloud,
    payer: &Payer<'_>,
    invoice: &Value,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    say("\n13. The day on which it is due");
    let receipts =
        json!({ "items": [{ "kind": "commission.charged", "feed": true, "push": true, "mail": true }] });
    let preferences = payer.api.put("/notifications/preferences", &receipts).await?;
    checks.that(
        "receipts are mailed; this customer wants them on the phone, too",
        preferences.status == 200,
    );
    let due = due(invoice)?;
    let early = run(cloud, "pay_invoices", due - TimeDelta::days(1)).await?;
    let picked = run(cloud, "pay_invoices", due).await?;
    checks.that(
        "the schedule of payments leaves it alone until then, and then picks it",
        early["invoices"] == 0 && picked["invoices"] == 1,
    );
    let paid = payer.invoice_becomes("paid", 1).await?;
    checks.that(
        "the card is charged, and the invoice paid",
        paid["attempts"][0]["status"] == "succeeded",
    );
    let history = payer.api.get("/billing/commissions").await?.body;
    checks.that(
        "the history has it, and the year's total",
        history["items"][0]["invoice_id"] == invoice["id"]
            && history["items"][0]["amount_cents"] == invoice["amount_cents"]
            && history["totals"][0]["amount_cents"] == invoice["amount_cents"],
    );
    let feed = payer.feed(1).await?;
    checks.that(
        "a notification is listed, and counted as unread",
        feed.len() == 1 && told(&feed, "commission.charged").is_some() && payer.unread().await? == 1,
    );
    say(format_args!("     (\"{}\")", shown(feed.first(), "body")));
    let mails = payer.mails(1).await;
    let amount = dollars(&invoice["amount_cents"]);
    let tells = |part: &str| part.contains(&amount) && part.contains("4242");
    checks.that(
        "the receipt is mailed, as text and as HTML, with amount and card",
        mails.len() == 1 && mails.iter().all(|mail| tells(&mail.text) && tells(&mail.html)),
    );
    checks.that("and pushed to the phone, once", payer.is_pushed(1).await);
    cloud.stripe().webhooks_settled().await;
    checks.that(
        "Stripe has taken the money once, though it has told everything twice",
        payer.charges(invoice) == PAID && payer.newest_invoice().await? == paid,
    );
    Ok(())
}

async fn lose_the_answer(cloud: &LocalCloud, checks: &mut Checks) -> anyhow::Result<()> {
    say("\n17. Stripe takes the money, and its answer is lost");
    let (payer, invoice) = Payer::with_invoice(cloud, VISA).await?;
    let due = due(&invoice)?;
    cloud.stripe().hold_webhooks();
    let lost = Effect::Reset { after_doing: true };
    cloud.stripe().fail_operation("create_payment_intent", lost, 1)?;
    run(cloud, "pay_invoices", due).await?;
    let is_charged = until(|| async { payer.charges(&invoice) == PAID }).await;
    let shown = payer.newest_invoice().await?;
    checks.that(
        "it is not guessed what came of it: the attempt is unknown, the invoice open",
        is_charged && shown["status"] == "open" && shown["attempts"][0]["status"] == "unknown",
    );
    // Whoever asked has to have given up before somebody else asks.
    let later = due + TimeDelta::hours(1);
    let is_found = until(|| async {
        let report = run(cloud, "reconcile_billing", later).await;
        report.is_ok_and(|report| report["looked_up"] == 1 && report["failed"] == 0)
    })
    .await;
    let paid = payer.invoice_becomes("paid", 1).await?;
    checks.that(
        "the reconciliation asks Stripe, finds the payment, and the invoice is paid",
        is_found && paid["attempts"][0]["status"] == "succeeded",
    );
    cloud
        .stripe()
        .release_webhooks(&ReleaseOrder::NewestFirst)
        .await?;
    cloud.stripe().webhooks_settled().await;
    let runs = (0..3).map(|_| run(cloud, "pay_invoices", later));
    let picked = try_join_all(runs).await?;
    checks.that(
        "the late webhooks, the newest first and each twice, and three more runs at once change nothing",
        picked.iter().all(|report| report["invoices"] == 0) && payer.newest_invoice().await? == paid,
    );
    checks.that("Stripe has taken the money once", payer.charges(&invoice) == PAID);
    checks.that(
        "and the customer is told once",
        payer.feed(1).await?.len() == 1 && payer.mails(1).await.len() == 1,
    );
    let report = run(cloud, "reconcile_billing", later + TimeDelta::days(1)).await?;
    checks.that(
        "the next reconciliation has nothing left to look up, and finds no difference",
        report["looked_up"] == 0 && report["differences"] == 0 && report["parked"] == 0,
    );
    Ok(())
}
