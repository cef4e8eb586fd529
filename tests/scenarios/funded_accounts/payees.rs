//! The account to which a trader's money goes: made once, filled in on Stripe's page, asked for anew whatever events say.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::Utc;
use end_to_end::funded::Trader;
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::Effect;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        payout_account_is_ready_after_stripes_page,
        payout_account_is_made_once_however_often_a_link_is_asked_for,
        link_to_stripes_page_opens_once_and_stays_out_of_logs_and_database,
        user_who_never_took_an_assessment_has_no_payout_account,
        country_that_stripe_does_not_pay_is_said,
        account_that_stripe_stops_is_ready_no_more_whatever_an_older_event_says,
        account_that_is_disconnected_is_replaced_by_another,
        event_of_the_other_mode_or_of_nobody_changes_nothing,
        alone(lost_event_is_made_up_for_when_the_trader_looks),
        alone(lost_answer_leaves_one_account),
    ]
}

async fn seen(trader: &Trader) -> Result<Value> {
    Ok(trader.api.get("/payout-account").await?.expect(200)?.body)
}

async fn link(trader: &Trader) -> Result<Answer> {
    trader
        .api
        .post("/payout-account/link", "unused", &json!({}))
        .await
}

/// The trader's accounts at Stripe.
fn accounts(fixture: &Fixture, trader: &Trader) -> Vec<String> {
    let user = trader.user_id.to_string();
    let all = fixture.cloud.stripe().connected_accounts();
    let theirs = all
        .into_iter()
        .filter(|account| account.metadata.get("user_id") == Some(&user));
    theirs.map(|account| account.id).collect()
}

/// A trader with an account that nothing was said to yet.
async fn begun(fixture: &Fixture) -> Result<(Trader, String)> {
    let trader = fixture.trader().await?;
    link(&trader).await?.expect(201)?;
    let account = accounts(fixture, &trader).pop().context("no account was made")?;
    Ok((trader, account))
}

async fn comes_to(trader: &Trader, status: &str) -> Result<Value> {
    eventually(&format!("the payout account is {status}"), async || {
        let account = seen(trader).await?;
        ensure!(account["status"] == status, "it is {account}");
        Ok(account)
    })
    .await
}

/// One that shows where it is led, and stays.
fn browser() -> Result<reqwest::Client> {
    let stays = reqwest::redirect::Policy::none();
    Ok(reqwest::Client::builder().no_proxy().redirect(stays).build()?)
}

/// Where an answer leads to.
fn location(answer: &reqwest::Response) -> &str {
    let header = answer.headers().get("location");
    header.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn payout_account_is_ready_after_stripes_page(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let nothing = json!({ "status": "not-started", "due": [], "bank_last4": null, "as_of": null });
    ensure_eq!(seen(&trader).await?, nothing);
    let answer = link(&trader).await?.expect(201)?;
    let begun = seen(&trader).await?;
    ensure_eq!(begun["status"], "incomplete");
    ensure_eq!(begun["due"][0], "a bank account");
    ensure!(
        begun["due"].as_array().is_some_and(|due| due.len() > 3),
        "{begun}"
    );

    let http = browser()?;
    let url = answer.body["url"].as_str().context("no address")?;
    ensure_eq!(http.get(url).send().await?.status().as_u16(), 200);
    let sent = http.post(url).form(&[("number", "000123456789")]).send().await?;
    let leads_to = location(&sent);
    ensure_eq!(leads_to, "https://app.example.com/payouts?from=stripe");
    let ready = comes_to(&trader, "ready").await?;
    ensure_eq!(ready["due"], json!([]));
    ensure_eq!(ready["bank_last4"], "6789");

    let account = accounts(&fixture, &trader).pop().context("no account")?;
    fixture.cloud.stripe().onboard(&account, "000111111113")?;
    eventually("the bank account is another", async || {
        let changed = seen(&trader).await?;
        ensure!(changed["bank_last4"] == "1113", "{changed}");
        Ok(())
    })
    .await
}

async fn payout_account_is_made_once_however_often_a_link_is_asked_for(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let asked = futures::future::join_all((0..8).map(|_| link(&trader))).await;
    let mut urls = Vec::new();
    for answer in asked {
        let answer = answer?;
        // Another one is making the account right now.
        ensure!(
            [201, 503].contains(&answer.status),
            "{} {}",
            answer.status,
            answer.text
        );
        urls.extend(answer.body["url"].as_str().map(str::to_owned));
    }
    urls.push(link(&trader).await?.expect(201)?.body["url"].to_string());
    ensure_eq!(accounts(&fixture, &trader).len(), 1);
    let all = urls.len();
    urls.sort();
    urls.dedup();
    ensure_eq!(urls.len(), all, "each link is another");
    Ok(())
}

async fn link_to_stripes_page_opens_once_and_stays_out_of_logs_and_database(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let answer = link(&trader).await?.expect(201)?;
    let url = answer.body["url"].as_str().context("no address")?;
    let expires: chrono::DateTime<Utc> = answer.body["expires_at"].as_str().unwrap_or_default().parse()?;
    ensure!(
        expires - Utc::now() < chrono::TimeDelta::minutes(6),
        "it is good until {expires}"
    );
    let secret = url.rsplit('/').next().context("no token")?;
    let http = browser()?;
    ensure_eq!(http.get(url).send().await?.status().as_u16(), 200);
    let again = http.get(url).send().await?;
    let again = location(&again);
    ensure_eq!(again, "https://app.example.com/payouts?from=expired-link");
    let logs = fixture.cloud.logs("create_payout_account_link");
    ensure!(
        !logs.iter().any(|line| line.contains(secret)),
        "the link is in the logs"
    );
    let stored = "SELECT count(*) FROM payees WHERE user_id = $1 AND payees::TEXT LIKE '%onboarding%'";
    ensure_eq!(fixture.database.count(stored, trader.user_id).await?, 0);
    Ok(())
}

async fn user_who_never_took_an_assessment_has_no_payout_account(fixture: Arc<Fixture>) -> Result {
    let stranger = fixture.api(Some(json!({ "user_id": 987_654_321 })))?;
    let nothing = json!({});
    let asked = stranger.post("/payout-account/link", "unused", &nothing);
    asked.await?.expect_problem(404, "trader-not-found")?;
    let status = stranger.get("/payout-account").await?.expect(200)?;
    ensure_eq!(status.body["status"], "not-started");
    Ok(())
}

async fn country_that_stripe_does_not_pay_is_said(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    fixture
        .database
        .change(
            "UPDATE traders SET country = 'Nowhere' WHERE user_id = $1",
            trader.user_id,
        )
        .await?;
    link(&trader)
        .await?
        .expect_problem(409, "payout-country-not-supported")?;
    ensure_eq!(accounts(&fixture, &trader).len(), 0);
    Ok(())
}

async fn account_that_stripe_stops_is_ready_no_more_whatever_an_older_event_says(
    fixture: Arc<Fixture>,
) -> Result {
    let (trader, account) = begun(&fixture).await?;
    let stripe = fixture.cloud.stripe();
    stripe.onboard(&account, "000123456789")?;
    comes_to(&trader, "ready").await?;
    stripe.restrict(&account, Some("under_review"), &[])?;
    comes_to(&trader, "waiting").await?;
    stripe.restrict(
        &account,
        Some("requirements.past_due"),
        &["individual.verification.document"],
    )?;
    let due = comes_to(&trader, "incomplete").await?;
    ensure_eq!(due["due"], json!(["a document that shows who you are"]));
    // The event that said so much before comes late, and once more.
    let all = stripe.events();
    let mut of_account = all
        .iter()
        .filter(|event| event.account.as_deref() == Some(account.as_str()));
    let ready = of_account
        .find(|event| event.kind == "account.updated")
        .context("no event")?;
    ensure_eq!(ready.object["payouts_enabled"], true);
    ensure_eq!(stripe.redeliver(&ready.id).await?, 200);
    let late = old_event(&account, &ready.object);
    deliver(&fixture, &late).await?.expect(200)?;
    ensure_eq!(seen(&trader).await?["status"], "incomplete");
    Ok(())
}

async fn account_that_is_disconnected_is_replaced_by_another(fixture: Arc<Fixture>) -> Result {
    let (trader, account) = begun(&fixture).await?;
    let stripe = fixture.cloud.stripe();
    stripe.onboard(&account, "000123456789")?;
    comes_to(&trader, "ready").await?;
    stripe.revoke(&account)?;
    comes_to(&trader, "not-started").await?;
    link(&trader).await?.expect(201)?;
    let all = accounts(&fixture, &trader);
    ensure_eq!(all.len(), 2);
    stripe.onboard(all.last().context("no account")?, "000123456789")?;
    comes_to(&trader, "ready").await?;
    Ok(())
}

/// An event of an account with what it was like before, under a new id.
fn old_event(account: &str, object: &Value) -> Value {
    json!({
        "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "account": account,
        "api_version": "2026-09-30.endive", "created": Utc::now().timestamp() - 60, "livemode": false, "pending_webhooks": 1,
        "request": null, "type": "account.updated", "data": { "object": object },
    })
}

async fn deliver(fixture: &Fixture, event: &Value) -> Result<Answer> {
    let body = event.to_string();
    let signature = fixture.cloud.stripe().sign_now_for_connect(&body);
    let headers = [
        ("content-type", "application/json"),
        ("stripe-signature", signature.as_str()),
    ];
    let api = fixture.api(None)?;
    api.post_raw("/webhooks/stripe/connect", &headers, body.into_bytes())
        .await
}

async fn event_of_the_other_mode_or_of_nobody_changes_nothing(fixture: Arc<Fixture>) -> Result {
    let (trader, account) = begun(&fixture).await?;
    let before = seen(&trader).await?;
    let mut live = old_event(
        &account,
        &json!({ "id": account, "object": "account", "payouts_enabled": true }),
    );
    live["livemode"] = json!(true);
    let nobodys = old_event(
        "acct_nobody",
        &json!({ "id": "acct_nobody", "object": "account" }),
    );
    let mut ours = old_event(
        &account,
        &json!({ "id": "po_1", "object": "payout", "status": "paid" }),
    );
    ours["type"] = json!("payout.paid");
    if let Some(event) = ours.as_object_mut() {
        event.remove("account");
    }
    for event in [&live, &nobodys, &ours] {
        deliver(&fixture, event).await?.expect(200)?;
    }
    let id = live["id"].as_str().unwrap_or_default();
    ensure!(
        fixture.database.inbox(id).await?.is_none(),
        "an event of the other mode is recorded"
    );
    ensure_eq!(seen(&trader).await?["status"], before["status"]);
    Ok(())
}

/// Stripe's last word is so old by now that it is asked again.
async fn ten_seconds_pass(fixture: &Fixture, trader: &Trader) -> Result {
    let earlier = "UPDATE payees SET as_of = as_of - interval '11 seconds' WHERE user_id = $1";
    fixture.database.change(earlier, trader.user_id).await?;
    Ok(())
}

async fn lost_event_is_made_up_for_when_the_trader_looks(fixture: Arc<Fixture>) -> Result {
    let (trader, account) = begun(&fixture).await?;
    let stripe = fixture.cloud.stripe();
    stripe.hold_webhooks();
    stripe.onboard(&account, "000123456789")?;
    stripe.drop_held_webhooks();
    ten_seconds_pass(&fixture, &trader).await?;
    let ready = comes_to(&trader, "ready").await;
    stripe.reset_webhooks();
    ready?;
    // What is known is shown while Stripe is out of reach.
    stripe.restrict(&account, Some("under_review"), &[])?;
    comes_to(&trader, "waiting").await?;
    stripe.fail_operation("retrieve_account", Effect::Reset { after_doing: false }, 1_000)?;
    let shown = seen(&trader).await;
    stripe.clear_faults();
    ensure_eq!(shown?["status"], "waiting");
    Ok(())
}

/// Stripe makes the account, or doesn't, and its answer is lost: the next request finds it, or makes it.
async fn lost_answer_leaves_one_account(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let effects = [
        Effect::FailAfter { status: 500 },
        Effect::Reset { after_doing: true },
        Effect::Reset { after_doing: false },
        Effect::Truncate,
    ];
    let traders = effects.iter().flat_map(|_| [fixture.trader(), fixture.trader()]);
    let mut traders = futures::future::try_join_all(traders).await?.into_iter();
    for effect in effects {
        for is_a_day_later in [false, true] {
            let trader = traders.next().context("too few traders")?;
            stripe.fail_operation("create_account", effect.clone(), 1)?;
            link(&trader).await?.expect(503)?;
            if is_a_day_later {
                stripe.forget_idempotency_key(&format!("payee-{}-1-0", trader.user_id));
                let day =
                    "UPDATE payees SET requested_at = requested_at - interval '25 hours' WHERE user_id = $1";
                fixture.database.change(day, trader.user_id).await?;
            }
            link(&trader).await?.expect(201)?;
            let made = accounts(&fixture, &trader).len();
            ensure_eq!(made, 1, "after {effect:?}, a day later: {is_a_day_later}");
            // The day that is over isn't looked through again.
            let looked_through = "SELECT count(*) FROM payees WHERE user_id = $1 AND looked_until > requested_at + interval '23 hours'";
            let days = fixture.database.count(looked_through, trader.user_id).await?;
            ensure_eq!(days, i64::from(is_a_day_later));
        }
    }
    Ok(())
}
