//! The story of the notifications: what goes where is the customer's choice, and what was read is read.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for what it doesn't have"
)]

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    checks::Checks,
    payer::{Payer, VISA, due, run, told},
};
use crate::{LocalCloud, progress::say};

const DEPOSIT_CENTS: i64 = 7_500;
/// How long it is waited for a mail that isn't to come.
const QUIET: Duration = Duration::from_millis(500);

/// Plays the story.
pub(super) async fn play(cloud: &LocalCloud, checks: &mut Checks) -> anyhow::Result<()> {
    let (payer, invoice) = Payer::with_invoice(cloud, VISA).await?;
    choose(&payer, checks).await?;
    run(cloud, "pay_invoices", due(&invoice)?).await?;
    payer.invoice_becomes("paid", 1).await?;
    let feed = payer.feed(1).await?;
    let is_pushed = payer.is_pushed(1).await;
    tokio::time::sleep(QUIET).await;
    checks.that(
        "the receipt is listed and pushed, and not mailed",
        told(&feed, "commission.charged").is_some() && is_pushed && payer.mails(0).await.is_empty(),
    );
    read(&payer, checks).await
}

async fn choose(payer: &Payer<'_>, checks: &mut Checks) -> anyhow::Result<()> {
    say("\n18. Notifications as each customer wants them: receipts on the phone, and not by mail");
    let choice = |kind: &str, feed: bool, mail: bool| json!({ "items": [{ "kind": kind, "feed": feed, "push": true, "mail": mail }] });
    let path = "/notifications/preferences";
    let answer = payer
        .api
        .put(path, &choice("commission.charged", true, false))
        .await?;
    let items = answer.body["items"].as_array().cloned().unwrap_or_default();
    checks.that(
        "the choice is kept",
        told(&items, "commission.charged").is_some_and(|chosen| chosen["mail"] == false),
    );
    let hidden = choice("commission.charge-failed", false, false);
    let refused = payer.api.put(path, &hidden).await?;
    checks.that(
        "what asks for the customer's doing can't be hidden: 422",
        refused.status == 422,
    );
    say(format_args!(
        "     (\"{}\")",
        refused.body["errors"][0]["message"].as_str().unwrap_or_default()
    ));
    Ok(())
}

async fn read(payer: &Payer<'_>, checks: &mut Checks) -> anyhow::Result<()> {
    let request = json!({
        "trading_account_id": payer.customer.trading_account_id,
        "bank_account_id": payer.customer.bank_account_id,
        "amount_cents": DEPOSIT_CENTS,
    });
    payer
        .api
        .post("/trading/deposits", "to-be-told", &request)
        .await?;
    let feed = payer.feed(2).await?;
    let arrived = told(&feed, "money-flow.succeeded").cloned().unwrap_or_default();
    checks.that(
        "a deposit makes two unread ones",
        arrived["read"] == false && payer.unread().await? == 2,
    );
    let mark = |body: Value| async move { payer.api.post("/notifications/read", "unused", &body).await };
    let first = mark(json!({ "ids": [arrived["id"]] })).await?.body;
    let again = mark(json!({ "ids": [arrived["id"]] })).await?.body;
    checks.that(
        "one that is read is read once, however often it is marked",
        first["unread"] == 1 && again["unread"] == 1,
    );
    let all = feed.first().map(|newest| newest["id"].clone());
    let left = mark(json!({ "up_to": all })).await?.body;
    checks.that(
        "all up to the newest, and nothing is unread",
        left["unread"] == 0 && payer.unread().await? == 0,
    );
    Ok(())
}
