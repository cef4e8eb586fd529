//! Notifications: where each goes is the customer's choice, and one that was read stays read.

use std::time::Duration;

use end_to_end::{Fixture, Result, billing::VISA};
use local_cloud::progress::say;
use serde_json::{Value, json};

use super::{
    checks::{Checks, quote},
    payer::{Payer, due, of_kind},
};

const DEPOSIT_CENTS: i64 = 7_500;
/// How long it is waited for a mail that isn't to come.
const QUIET: Duration = Duration::from_millis(500);

/// Plays the chapter.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    let (payer, invoice) = Payer::with_invoice(fixture, VISA).await?;
    choose(&payer, checks).await?;
    fixture.bill("pay_invoices", due(&invoice)?).await?;
    payer.invoice_becomes("paid", 1).await?;
    let feed = payer.tester.feed_reaches(1).await?;
    let is_pushed = payer.is_pushed(1).await;
    tokio::time::sleep(QUIET).await;
    checks.that(
        "the receipt is listed and pushed, and not mailed",
        of_kind(&feed, "commission.charged").is_some() && is_pushed && payer.mails(0).await.is_empty(),
    );
    read(&payer, checks).await
}

async fn choose(payer: &Payer<'_>, checks: &mut Checks) -> Result {
    say("\n18. Notifications as each customer wants them: receipts on the phone, and not by mail");
    let choice = |kind: &str, feed: bool, mail: bool| json!({ "items": [{ "kind": kind, "feed": feed, "push": true, "mail": mail }] });
    let path = "/notifications/preferences";
    let answer = payer
        .tester
        .api
        .put(path, &choice("commission.charged", true, false))
        .await?;
    let items = answer.body["items"].as_array().cloned().unwrap_or_default();
    checks.that(
        "the choice is kept",
        of_kind(&items, "commission.charged").is_some_and(|chosen| chosen["mail"] == false),
    );
    let hidden = choice("commission.charge-failed", false, false);
    let refused = payer.tester.api.put(path, &hidden).await?;
    checks.that(
        "what asks for the customer's doing can't be hidden: 422",
        refused.status == 422,
    );
    quote(Some(&refused.body["errors"][0]), "message");
    Ok(())
}

async fn read(payer: &Payer<'_>, checks: &mut Checks) -> Result {
    payer.tester.deposit(DEPOSIT_CENTS).await?.expect(201)?;
    let feed = payer.tester.feed_reaches(2).await?;
    let arrived = of_kind(&feed, "money-flow.succeeded")
        .cloned()
        .unwrap_or_default();
    checks.that(
        "a deposit makes two unread ones",
        arrived["read"] == false && payer.tester.unread().await? == 2,
    );
    let mark = |body: Value| async move {
        payer
            .tester
            .api
            .post("/notifications/read", "unused", &body)
            .await
    };
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
        left["unread"] == 0 && payer.tester.unread().await? == 0,
    );
    Ok(())
}
