//! The feed, the phones and the mails: one notification per event, one push per device, one mail, pages of one's own.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod devices;
mod kinds;
mod mail;
mod preferences;
mod reading;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{
    Fixture, Result, Scenario, Suite, Tester, ensure_eq, eventually, new_domain_event, options, run_suites,
    scenarios,
};
use futures::future::try_join_all;
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};

const RECORDER: &str = "record_notification";
const PUSHER: &str = "push_notification";
const MESSAGES: &str = "/v1/projects";

fn main() -> ExitCode {
    let files = [
        scenarios(),
        devices::scenarios(),
        kinds::scenarios(),
        mail::scenarios(),
        preferences::scenarios(),
        reading::scenarios(),
    ];
    run_suites([Suite::new("notifications", options(), files)])
}

fn scenarios() -> Vec<Scenario> {
    scenarios![
        event_delivered_ten_times_makes_one_notification,
        copies_at_the_same_time_make_one_notification,
        events_at_the_same_time_are_all_counted,
        notification_says_what_happened,
        push_is_found_in_the_logs_by_the_id_of_its_cause,
        event_for_nobody_is_skipped,
        device_that_is_unregistered_is_forgotten,
        profile_without_a_device_has_a_feed_all_the_same,
        pages_are_newest_first_and_of_the_own_feed_only,
        unread_notifications_are_listed_on_request,
        page_that_is_malformed_is_refused,
        alone(push_that_fails_is_tried_again),
        alone(access_token_that_expires_meanwhile_is_renewed),
        alone(push_that_is_refused_stops_no_other),
        alone(device_out_of_reach_delays_no_other_devices_push),
        alone(push_waits_while_the_project_is_set_up_wrong),
    ]
}

fn news(tester: &Tester, kind: &str, direction: &str, amount_cents: i64) -> Value {
    let profile = tester.customer.profile_id;
    let data = json!({
        "money_flow_id": 7,
        "profile_id": profile,
        "trading_account_id": tester.customer.trading_account_id,
        "direction": direction,
        "amount_cents": amount_cents,
        "currency": "USD",
        "reason": null,
    });
    new_domain_event(kind, &format!("profile-{profile}"), data)
}

fn arrival(tester: &Tester) -> Value {
    news(tester, "money-flow.succeeded", "deposit", 1_000)
}

/// The recorder gets the events as its queue gives them, ten at a time: it may take its time for each ten.
async fn record(fixture: &Fixture, events: &[Value]) -> Result {
    for batch in events.chunks(10) {
        ensure_eq!(fixture.deliver(RECORDER, batch).await?, Vec::<usize>::new());
    }
    Ok(())
}

/// Another device of the customer.
fn tablet_of(tester: &Tester) -> String {
    format!("tablet-{:020}", tester.customer.profile_id)
}

async fn add_device(tester: &Tester, token: &str) -> Result {
    let path = format!("/notifications/devices/{token}");
    let put = tester.api.request(reqwest::Method::PUT, &path);
    let answer = tester
        .api
        .send(put.json(&json!({ "platform": "android" })))
        .await?;
    answer.expect(201)?;
    Ok(())
}

/// The devices that are known of a customer.
async fn devices(fixture: &Fixture, tester: &Tester) -> Result<Vec<String>> {
    let query = fixture
        .cloud
        .dynamodb()
        .query()
        .table_name(fixture.cloud.table("notifications")?);
    let profile = format!("profile#{}", tester.customer.profile_id);
    let answer = query
        .key_condition_expression("pk = :pk AND begins_with(sk, :device)")
        .expression_attribute_values(":pk", AttributeValue::S(profile))
        .expression_attribute_values(":device", AttributeValue::S("device#".to_owned()))
        .send()
        .await?;
    let items = answer.items.unwrap_or_default();
    let token = |item: &std::collections::HashMap<String, AttributeValue>| {
        Some(item.get("sk")?.as_s().ok()?.strip_prefix("device#")?.to_owned())
    };
    Ok(items.iter().filter_map(token).collect())
}

async fn pushes_reach(fixture: &Fixture, device: &str, count: usize) -> Result {
    eventually(&format!("{device} has {count} messages"), async || {
        let messages = fixture.cloud.firebase().messages_to(device);
        ensure!(messages.len() == count, "it has {messages:?}");
        Ok(())
    })
    .await
}

/// Whatever is recorded after this is pushed after what was recorded before: the stream has one order.
async fn stream_passes(fixture: &Fixture) -> Result {
    let witness = fixture.customer().await?;
    record(fixture, &[arrival(&witness)]).await?;
    pushes_reach(fixture, &witness.customer.device_token, 1).await
}

async fn event_delivered_ten_times_makes_one_notification(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let tablet = tablet_of(&tester);
    add_device(&tester, &tablet).await?;
    let event = arrival(&tester);
    record(&fixture, &vec![event.clone(); 5]).await?;
    for _ in 0..5 {
        fixture.send("domain-events", &event.to_string()).await?;
    }
    fixture.queue_reaches("domain-events", 0).await?;
    ensure_eq!(tester.feed().await?.len(), 1);
    ensure_eq!(tester.unread().await?, 1);
    pushes_reach(&fixture, &tester.customer.device_token, 1).await?;
    pushes_reach(&fixture, &tablet, 1).await?;
    stream_passes(&fixture).await?;
    pushes_reach(&fixture, &tester.customer.device_token, 1).await?;
    pushes_reach(&fixture, &tablet, 1).await
}

async fn copies_at_the_same_time_make_one_notification(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let batch = [arrival(&tester), arrival(&tester)];
    try_join_all((0..6).map(|_| record(&fixture, &batch))).await?;
    ensure_eq!(tester.feed().await?.len(), 2);
    ensure_eq!(tester.unread().await?, 2);
    stream_passes(&fixture).await?;
    pushes_reach(&fixture, &tester.customer.device_token, 2).await
}

async fn events_at_the_same_time_are_all_counted(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let batches: Vec<Vec<Value>> = (0..8).map(|_| vec![arrival(&tester); 1]).collect();
    let batches: Vec<Vec<Value>> = batches
        .into_iter()
        .map(|mut batch| {
            batch.push(arrival(&tester));
            batch
        })
        .collect();
    try_join_all(batches.iter().map(|batch| record(&fixture, batch))).await?;
    ensure_eq!(tester.feed().await?.len(), 16);
    ensure_eq!(tester.unread().await?, 16);
    Ok(())
}

async fn notification_says_what_happened(fixture: Arc<Fixture>) -> Result {
    let cases = [
        (
            "money-flow.succeeded",
            "deposit",
            123_456,
            "Deposit received",
            "$1,234.56 has arrived",
        ),
        (
            "money-flow.succeeded",
            "withdrawal",
            5,
            "Withdrawal sent",
            "$0.05 is on its way",
        ),
        (
            "money-flow.failed",
            "deposit",
            100,
            "Deposit failed",
            "Your deposit of $1.00",
        ),
        (
            "money-flow.failed",
            "withdrawal",
            100_000_000,
            "Withdrawal failed",
            "$1,000,000.00",
        ),
    ];
    for (kind, direction, amount_cents, title, body) in cases {
        let tester = fixture.customer().await?;
        let event = news(&tester, kind, direction, amount_cents);
        record(&fixture, std::slice::from_ref(&event)).await?;
        let item = tester.feed().await?.pop().context("the feed is empty")?;
        ensure_eq!((&item["kind"], &item["title"]), (&json!(kind), &json!(title)));
        let told = item["body"].as_str().unwrap_or_default();
        ensure!(told.contains(body), "told: {told}");
        ensure_eq!(item["read"], json!(false));
        let kept = kept_correlation_id(&fixture, &tester, &item["id"]).await?;
        ensure_eq!(Some(kept.as_str()), event["correlation_id"].as_str());
        ensure_eq!(
            item["data"],
            json!({ "money_flow_id": "7", "direction": direction })
        );

        pushes_reach(&fixture, &tester.customer.device_token, 1).await?;
        let pushed = fixture
            .cloud
            .firebase()
            .messages_to(&tester.customer.device_token);
        let message = &pushed[0].message;
        ensure_eq!(message["notification"]["title"], json!(title));
        ensure_eq!(message["notification"]["body"], item["body"]);
        ensure_eq!(message["data"]["notification_id"], item["id"]);
        ensure_eq!(message["data"]["kind"], json!(kind));
    }
    Ok(())
}

/// What is logged about an item tells its invocation, its profile, and the work that caused it.
async fn push_is_found_in_the_logs_by_the_id_of_its_cause(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let event = arrival(&tester);
    record(&fixture, std::slice::from_ref(&event)).await?;
    for function in [RECORDER, PUSHER] {
        let span = eventually(&format!("{function} logs the profile"), async || {
            let spans = fixture.cloud.logs(function).into_iter().filter_map(|line| {
                let line: Value = serde_json::from_str(&line).ok()?;
                Some(line["span"].clone())
            });
            let profile = json!(tester.customer.profile_id);
            let mut spans = spans.filter(|span| span["profile_id"] == profile);
            spans.next().context("no line has it")
        })
        .await?;
        ensure!(
            span["request_id"].is_string() && span["item"].is_string(),
            "{function}: the span is {span}"
        );
        // A queue gives the id beside the message, and this one was delivered by hand.
        if function == PUSHER {
            ensure_eq!(span["correlation_id"], event["correlation_id"]);
        }
    }
    Ok(())
}

/// What the stored item keeps of the work that caused it.
async fn kept_correlation_id(fixture: &Fixture, tester: &Tester, id: &Value) -> Result<String> {
    let sort = format!("feed#{}", id.as_str().context("no id")?);
    let get = fixture
        .cloud
        .dynamodb()
        .get_item()
        .table_name(fixture.cloud.table("notifications")?);
    let answer = get
        .key(
            "pk",
            AttributeValue::S(format!("profile#{}", tester.customer.profile_id)),
        )
        .key("sk", AttributeValue::S(sort))
        .send()
        .await?;
    let item = answer.item.context("there is no item")?;
    let kept = item.get("correlation_id").and_then(|id| id.as_s().ok());
    kept.cloned().context("it keeps no correlation id")
}

async fn event_for_nobody_is_skipped(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let opened = news(&tester, "trading-account.opened", "deposit", 1);
    let wrong = news(&tester, "money-flow.succeeded", "sideways", 1);
    ensure_eq!(
        fixture
            .deliver(RECORDER, &[opened, wrong, arrival(&tester)])
            .await?,
        [1]
    );
    ensure_eq!(tester.feed().await?.len(), 1);
    Ok(())
}

async fn device_that_is_unregistered_is_forgotten(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let phone = &tester.customer.device_token;
    let tablet = tablet_of(&tester);
    add_device(&tester, &tablet).await?;
    fixture.cloud.firebase().unregister(phone);
    record(&fixture, &[arrival(&tester)]).await?;
    pushes_reach(&fixture, &tablet, 1).await?;
    eventually("the phone is forgotten", async || {
        let known = devices(&fixture, &tester).await?;
        ensure!(known == [tablet.clone()], "known are {known:?}");
        Ok(())
    })
    .await?;
    // Registered again at Firebase alone it stays forgotten here: the app tells us of it anew.
    fixture.cloud.firebase().register(phone);
    record(&fixture, &[arrival(&tester)]).await?;
    pushes_reach(&fixture, &tablet, 2).await?;
    stream_passes(&fixture).await?;
    pushes_reach(&fixture, phone, 0).await
}

async fn profile_without_a_device_has_a_feed_all_the_same(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = fixture.held_by("push-failures").await?;
    fixture.cloud.firebase().unregister(&tester.customer.device_token);
    for count in 1..=2 {
        record(&fixture, &[arrival(&tester)]).await?;
        tester.feed_reaches(count).await?;
        stream_passes(&fixture).await?;
        ensure_eq!(devices(&fixture, &tester).await?, Vec::<String>::new());
    }
    ensure_eq!(fixture.held_by("push-failures").await?, before);
    Ok(())
}

async fn pages_are_newest_first_and_of_the_own_feed_only(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let events: Vec<Value> = (0..25).map(|_| arrival(&tester)).collect();
    record(&fixture, &events).await?;
    record(&fixture, &[arrival(&other)]).await?;
    let mut pages = Vec::new();
    let mut path = "/notifications?limit=10".to_owned();
    for _ in 0..5 {
        let page = tester.api.get(&path).await?.expect(200)?.body;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        pages.push(items);
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/notifications?limit=10&cursor={cursor}"),
            None => break,
        }
    }
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    ensure_eq!(sizes, [10, 10, 5]);
    // The last page says so, also when it is full.
    let all = tester.api.get("/notifications?limit=25").await?.expect(200)?;
    ensure_eq!(all.body["next_cursor"], json!(null));
    let seen: Vec<String> = pages.concat().iter().map(|item| item["id"].to_string()).collect();
    let mut expected = seen.clone();
    // Ids are made from the events', which count up in time.
    expected.sort_by(|one, two| two.cmp(one));
    expected.dedup();
    ensure_eq!(seen, expected);
    ensure_eq!(other.feed().await?.len(), 1);
    ensure_eq!((tester.unread().await?, other.unread().await?), (25, 1));

    // Another's cursor shows one's own.
    let cursor = tester.api.get("/notifications?limit=1").await?.expect(200)?.body["next_cursor"].clone();
    let path = format!("/notifications?cursor={}", cursor.as_str().context("no cursor")?);
    let page = other.api.get(&path).await?.expect(200)?.body;
    let ids: Vec<&Value> = page["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| &item["id"])
        .collect();
    let own = other.feed().await?;
    ensure!(ids.iter().all(|id| **id == own[0]["id"]), "the page is {page}");
    Ok(())
}

async fn unread_notifications_are_listed_on_request(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let events: Vec<Value> = (0..6).map(|_| arrival(&tester)).collect();
    record(&fixture, &events).await?;
    let feed = tester.feed().await?;
    for item in feed.iter().step_by(2) {
        let update = fixture
            .cloud
            .dynamodb()
            .update_item()
            .table_name(fixture.cloud.table("notifications")?);
        let id = item["id"].as_str().context("no id")?;
        update
            .key(
                "pk",
                AttributeValue::S(format!("profile#{}", tester.customer.profile_id)),
            )
            .key("sk", AttributeValue::S(format!("feed#{id}")))
            .update_expression("SET #read = :read")
            .expression_attribute_names("#read", "read")
            .expression_attribute_values(":read", AttributeValue::Bool(true))
            .send()
            .await?;
    }
    let page = tester
        .api
        .get("/notifications?unread=true&limit=2")
        .await?
        .expect(200)?
        .body;
    ensure_eq!(page["items"], json!([feed[1], feed[3]]));
    let path = format!(
        "/notifications?unread=true&limit=2&cursor={}",
        page["next_cursor"].as_str().context("no cursor")?
    );
    let page = tester.api.get(&path).await?.expect(200)?.body;
    ensure_eq!(
        (&page["items"], &page["next_cursor"]),
        (&json!([feed[5]]), &json!(null))
    );
    Ok(())
}

async fn page_that_is_malformed_is_refused(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let bad = [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=ten",
        "cursor=%21",
        "cursor=abc",
        "unread=perhaps",
        "page=2",
    ];
    for query in bad {
        let answer = tester.api.get(&format!("/notifications?{query}")).await?;
        let answer = answer.expect_problem(400, "malformed-request")?;
        let field = query.split('=').next().unwrap_or_default();
        ensure_eq!(
            answer.body["errors"][0]["field"],
            json!(field),
            "{query}: {}",
            answer.text
        );
    }
    Ok(())
}

fn refuse(status: u16, error_code: &str) -> Effect {
    Effect::Refuse {
        status,
        error_code: error_code.to_owned(),
        message: "not now".to_owned(),
    }
}

/// 503, and 429 with the wait that Firebase asks for.
async fn push_that_fails_is_tried_again(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = fixture.held_by("push-failures").await?;
    // More often than one run asks.
    let fault = Fault::new("POST", MESSAGES, refuse(503, "UNAVAILABLE"));
    fixture.cloud.firebase().fault(fault.times(4));
    let limit = Effect::RateLimit { retry_after_s: 1 };
    fixture
        .cloud
        .firebase()
        .fault(Fault::new("POST", MESSAGES, limit).times(2));
    record(&fixture, &[arrival(&tester)]).await?;
    pushes_reach(&fixture, &tester.customer.device_token, 1).await?;
    stream_passes(&fixture).await?;
    pushes_reach(&fixture, &tester.customer.device_token, 1).await?;
    ensure_eq!(fixture.held_by("push-failures").await?, before);
    Ok(())
}

async fn access_token_that_expires_meanwhile_is_renewed(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    fixture
        .cloud
        .firebase()
        .fault(Fault::new("POST", MESSAGES, Effect::ExpireToken));
    record(&fixture, &[arrival(&tester)]).await?;
    pushes_reach(&fixture, &tester.customer.device_token, 1).await
}

/// What Firebase refuses for good ends at the stream's failure destination, and those behind it are pushed.
async fn push_that_is_refused_stops_no_other(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = fixture.held_by("push-failures").await?;
    let fault = Fault::new("POST", MESSAGES, refuse(400, "INVALID_ARGUMENT"));
    fixture.cloud.firebase().fault(fault);
    record(&fixture, &[arrival(&tester)]).await?;
    fixture.queue_reaches("push-failures", before + 1).await?;
    stream_passes(&fixture).await?;
    pushes_reach(&fixture, &tester.customer.device_token, 0).await?;
    ensure_eq!(
        devices(&fixture, &tester).await?,
        std::slice::from_ref(&tester.customer.device_token)
    );
    let item = tester.feed().await?.pop().context("the feed is empty")?;
    let given_up = fixture.waiting_in("push-failures").await?;
    let expected = json!({
        "profile_id": tester.customer.profile_id,
        "notification_id": item["id"],
        "reason": "Firebase refused a push with code INVALID_ARGUMENT",
    });
    ensure!(given_up.contains(&expected), "given up are {given_up:?}");
    Ok(())
}

/// One of two devices is refused for good: the other has its push, once.
async fn device_out_of_reach_delays_no_other_devices_push(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let phone = &tester.customer.device_token;
    let tablet = tablet_of(&tester);
    add_device(&tester, &tablet).await?;
    let before = fixture.held_by("push-failures").await?;
    let fault = Fault::new("POST", MESSAGES, refuse(403, "SENDER_ID_MISMATCH"));
    fixture.cloud.firebase().fault(fault);
    record(&fixture, &[arrival(&tester)]).await?;
    fixture.queue_reaches("push-failures", before + 1).await?;
    stream_passes(&fixture).await?;
    let pushed = |device: &str| fixture.cloud.firebase().messages_to(device).len();
    ensure_eq!(pushed(phone) + pushed(&tablet), 1);

    // Whose token is none is forgotten.
    let fault = Fault::new("POST", MESSAGES, refuse(400, "INVALID_TOKEN"));
    fixture.cloud.firebase().fault(fault);
    record(&fixture, &[arrival(&tester)]).await?;
    stream_passes(&fixture).await?;
    ensure_eq!(pushed(phone) + pushed(&tablet), 2);
    ensure_eq!(devices(&fixture, &tester).await?.len(), 1);
    ensure_eq!(fixture.held_by("push-failures").await?, before + 1);
    Ok(())
}

/// More failures than any number of tries: each device has its push in the end, and once.
async fn push_waits_while_the_project_is_set_up_wrong(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let tablet = tablet_of(&tester);
    add_device(&tester, &tablet).await?;
    let before = fixture.held_by("push-failures").await?;
    let fault = Fault::new("POST", MESSAGES, refuse(403, "PERMISSION_DENIED"));
    fixture.cloud.firebase().fault(fault.times(31));
    record(&fixture, &[arrival(&tester)]).await?;
    for device in [&tester.customer.device_token, &tablet] {
        pushes_reach(&fixture, device, 1).await?;
    }
    stream_passes(&fixture).await?;
    for device in [&tester.customer.device_token, &tablet] {
        pushes_reach(&fixture, device, 1).await?;
    }
    ensure_eq!(fixture.held_by("push-failures").await?, before);
    Ok(())
}
