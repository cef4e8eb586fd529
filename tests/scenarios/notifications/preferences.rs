//! What people want to hear of, and how.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Answer, Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kinds::event;
use crate::mail::{mails_pass, mails_reach};
use crate::{arrival, pushes_reach, record, stream_passes};

const PATH: &str = "/notifications/preferences";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        preferences_have_their_defaults_until_chosen,
        notification_that_needs_an_action_stays_in_the_feed,
        each_channel_is_switched_off_by_itself,
    ]
}

async fn put(tester: &Tester, items: Value) -> Result<Answer> {
    let request = tester.api.request(Method::PUT, PATH);
    tester.api.send(request.json(&json!({ "items": items }))).await
}

/// A choice: feed, push, mail.
fn choice(kind: &str, (feed, push, mail): (bool, bool, bool)) -> Value {
    json!({ "kind": kind, "feed": feed, "push": push, "mail": mail })
}

/// Feed, push, mail, and whether the feed is fixed.
fn of_kind(answer: &Answer, kind: &str) -> Result<Value> {
    let items = answer.body["items"].as_array().context("no items")?;
    let item = items.iter().find(|item| item["kind"] == kind);
    let item = item.with_context(|| format!("{kind} is not among {}", answer.text))?;
    Ok(json!([
        item["feed"],
        item["push"],
        item["mail"],
        item["feed_is_fixed"]
    ]))
}

async fn preferences_have_their_defaults_until_chosen(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let usual = tester.api.get(PATH).await?.expect(200)?;
    ensure_eq!(usual.body["items"].as_array().map(Vec::len), Some(22));
    ensure_eq!(
        of_kind(&usual, "money-flow.succeeded")?,
        json!([true, true, false, false])
    );
    ensure_eq!(
        of_kind(&usual, "commission.charged")?,
        json!([true, false, true, false])
    );
    ensure_eq!(
        of_kind(&usual, "kyc.status-changed")?,
        json!([true, true, true, true])
    );

    let items = json!([choice("money-flow.succeeded", (false, true, true))]);
    let answer = put(&tester, items).await?.expect(200)?;
    ensure_eq!(
        of_kind(&answer, "money-flow.succeeded")?,
        json!([false, true, true, false])
    );
    ensure_eq!(tester.api.get(PATH).await?.expect(200)?.body, answer.body);
    ensure_eq!(other.api.get(PATH).await?.expect(200)?.body, usual.body);

    // A choice takes the place of all before it.
    let items = json!([choice("trading.resumed", (true, false, false))]);
    let answer = put(&tester, items).await?.expect(200)?;
    ensure_eq!(
        of_kind(&answer, "money-flow.succeeded")?,
        json!([true, true, false, false])
    );
    ensure_eq!(
        of_kind(&answer, "trading.resumed")?,
        json!([true, false, false, false])
    );
    ensure_eq!(put(&tester, json!([])).await?.expect(200)?.body, usual.body);
    Ok(())
}

async fn notification_that_needs_an_action_stays_in_the_feed(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = tester.api.get(PATH).await?.expect(200)?;
    for kind in [
        "commission.charge-failed",
        "commission.confirmation-required",
        "kyc.status-changed",
    ] {
        let good = choice("trading.resumed", (false, false, false));
        let items = json!([good, choice(kind, (false, false, false))]);
        let answer = put(&tester, items).await?.expect_problem(422, "invalid-value")?;
        ensure_eq!(answer.body["errors"][0]["field"], json!("items[1].feed"));
        put(&tester, json!([choice(kind, (true, false, false))]))
            .await?
            .expect(200)?;
        put(&tester, json!([])).await?.expect(200)?;
    }
    let same = choice("trading.resumed", (true, true, true));
    let answer = put(&tester, json!([same, same]))
        .await?
        .expect_problem(422, "invalid-value")?;
    ensure_eq!(answer.body["errors"][0]["field"], json!("items[1].kind"));
    for (items, field) in [
        (
            json!([choice("invoice.created", (true, true, true))]),
            "items[0].kind",
        ),
        (
            json!([{ "kind": "trading.resumed", "feed": true, "push": true }]),
            "items[0].mail",
        ),
        (
            json!([{ "kind": "trading.resumed", "feed": 1, "push": true, "mail": true }]),
            "items[0].feed",
        ),
    ] {
        let answer = put(&tester, items)
            .await?
            .expect_problem(400, "malformed-request")?;
        ensure_eq!(answer.body["errors"][0]["field"], json!(field));
    }
    ensure_eq!(tester.api.get(PATH).await?.expect(200)?.body, before.body);
    Ok(())
}

async fn each_channel_is_switched_off_by_itself(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let phone = &tester.customer.device_token;
    let address = &tester.customer.email;
    // Nowhere at all, a mail too few, a push too few.
    let items = json!([
        choice("money-flow.succeeded", (false, true, true)),
        choice("commission.charge-failed", (true, true, false)),
        choice("trading.suspended", (true, false, true)),
        choice("withdrawal.completed", (true, true, true)),
    ]);
    put(&tester, items).await?.expect(200)?;
    let failed = event(&tester, "commission.charge-failed");
    let suspended = event(&tester, "trading.suspended");
    let completed = event(&tester, "withdrawal.completed");
    record(&fixture, &[arrival(&tester), failed, suspended, completed]).await?;
    let feed = tester.feed_reaches(3).await?;
    ensure!(
        feed.iter().all(|item| item["kind"] != "money-flow.succeeded"),
        "{feed:?}"
    );
    ensure_eq!(tester.unread().await?, 3);
    pushes_reach(&fixture, phone, 2).await?;
    mails_reach(&fixture, address, 2).await?;
    stream_passes(&fixture).await?;
    mails_pass(&fixture).await?;
    pushes_reach(&fixture, phone, 2).await?;
    let pushed = fixture.cloud.firebase().messages_to(phone);
    let kinds: Vec<&Value> = pushed.iter().map(|push| &push.message["data"]["kind"]).collect();
    ensure_eq!(
        kinds,
        [&json!("commission.charge-failed"), &json!("withdrawal.completed")]
    );
    let mails = mails_reach(&fixture, address, 2).await?;
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    ensure_eq!(
        subjects,
        ["Buying is suspended", "Your withdrawal of $12.50 was paid out"]
    );

    // A choice counts for what comes after it.
    put(&tester, json!([])).await?.expect(200)?;
    record(&fixture, &[arrival(&tester)]).await?;
    tester.feed_reaches(4).await?;
    pushes_reach(&fixture, phone, 3).await
}
