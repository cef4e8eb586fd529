//! DriveWealth's events in every order, twice, late, unknown and foreign: the same end whatever comes first.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, and a missing payment fails the scenario"
)]

pub(crate) mod accounts;

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use end_to_end::points::sample_of;
use end_to_end::{
    FAILED, Fixture, Result, SUCCEEDED, Scenario, Tester, ensure_eq, eventually, scenarios, topic_messages,
};
use futures::future::try_join_all;
use local_cloud::sandboxes::drivewealth::{Payment, status};
use serde_json::{Value, json};
use uuid::Uuid;

const CONSUMER: &str = "apply_drivewealth_event";
/// Customers among whom many flows are shared out; each works off its own one after the other.
const CUSTOMERS: usize = 5;
/// One order of so many is a sample.
const SAMPLED: usize = 4;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        by_hand(events_of_a_deposit_twice_in_every_order_end_the_same),
        by_hand(events_of_a_redemption_in_every_order_and_again_end_the_same),
        by_hand(event_of_a_redemption_needs_its_id_alone),
        by_hand(copies_at_the_same_time_count_once),
        by_hand(older_event_never_overwrites_a_newer_one),
        by_hand(returned_deposit_is_taken_back_and_suspends_deposits),
        by_hand(return_reported_before_the_success_stays_a_return),
        by_hand(final_status_that_is_taken_back_needs_review),
        by_hand(return_of_a_failed_deposit_suspends_deposits),
        by_hand(unknown_status_is_kept_and_moves_nothing),
        by_hand(unknown_type_is_kept),
        by_hand(numbers_are_kept_to_the_last_digit),
        by_hand(payment_that_disagrees_with_its_flow_needs_review),
        by_hand(payments_that_are_not_ours_are_kept_and_harmless),
        by_hand(event_that_is_malformed_is_reported_alone),
        alone(events_through_the_queue_late_twice_and_shuffled_end_the_same),
    ]
}

/// A flow and what the broker has of it.
struct Flow {
    id: i64,
    payment: Payment,
}

async fn deposit(fixture: &Fixture, tester: &Tester, amount_cents: i64) -> Result<Flow> {
    fixture.by_hand();
    let id = tester.deposit(amount_cents).await?.expect(201)?.number("id")?;
    let payment = fixture
        .deposits_of(tester)
        .pop()
        .context("the broker has no deposit")?;
    Ok(Flow { id, payment })
}

async fn withdrawal(fixture: &Fixture, tester: &Tester, amount_cents: i64) -> Result<Flow> {
    fixture.by_hand();
    let id = tester.withdraw(amount_cents).await?.expect(201)?.number("id")?;
    let payment = fixture
        .redemptions_of(tester)
        .pop()
        .context("the broker has no redemption")?;
    Ok(Flow { id, payment })
}

/// Lets the broker bring a payment through these statuses and gives all events about it.
fn bring_through(fixture: &Fixture, flow: &Flow, statuses: &[i32]) -> Result<Vec<Value>> {
    for status in statuses {
        fixture.cloud.drivewealth().advance(&flow.payment.id, *status)?;
    }
    Ok(fixture.cloud.drivewealth().events_of(&flow.payment.id))
}

pub(crate) async fn apply(fixture: &Fixture, events: &[Value]) -> Result {
    let failed = fixture.deliver(CONSUMER, events).await?;
    ensure!(failed.is_empty(), "the events {failed:?} failed of {events:?}");
    Ok(())
}

/// A copy of an event under an id of its own.
fn copy(event: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut copy = event.clone();
    copy["id"] = json!(format!("event_{}", Uuid::now_v7()));
    change(&mut copy);
    copy
}

/// Every distinct order of these.
fn orders(letters: &[usize]) -> Vec<Vec<usize>> {
    if letters.is_empty() {
        return vec![Vec::new()];
    }
    let mut distinct = letters.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut all = Vec::new();
    for first in distinct {
        let mut rest = letters.to_vec();
        if let Some(at) = rest.iter().position(|letter| *letter == first) {
            rest.remove(at);
        }
        for mut order in orders(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

fn in_order(events: &[Value], order: &[usize]) -> Vec<Value> {
    order
        .iter()
        .filter_map(|index| events.get(*index).cloned())
        .collect()
}

/// What the database has of a flow at its good end: one event per listener and one for the portfolio.
async fn succeeded(fixture: &Fixture, flow: i64, context: &str) -> Result {
    let row = fixture.database.flow(flow).await?;
    ensure_eq!(row.status, "success", "{context}");
    ensure_eq!(
        fixture.database.events_of_flow(flow).await?,
        SUCCEEDED,
        "{context}"
    );
    Ok(())
}

/// Each of the flows has one notification, one push and one message on the topic; nothing else is there.
async fn published_once_each(fixture: &Fixture, tester: &Tester, flows: &[i64]) -> Result {
    let feed = tester.feed_reaches(flows.len()).await?;
    ensure_eq!(tester.unread().await?, i64::try_from(flows.len())?);
    let mut told: Vec<i64> = feed
        .iter()
        .filter_map(|item| item["data"]["money_flow_id"].as_str()?.parse().ok())
        .collect();
    told.sort_unstable();
    ensure_eq!(told, flows);
    eventually("each is pushed", async || {
        let pushed = fixture
            .cloud
            .firebase()
            .messages_to(&tester.customer.device_token)
            .len();
        ensure!(pushed == flows.len(), "{pushed} of {} are pushed", flows.len());
        Ok(())
    })
    .await?;
    let topic = topic_messages(fixture.cloud.kafka_brokers(), "trading.events").await?;
    let about = |flow: i64| {
        topic
            .iter()
            .filter(|message| message.payload["data"]["money_flow_id"] == flow)
            .count()
    };
    for flow in flows {
        ensure_eq!(about(*flow), 1, "messages on the topic about flow {flow}");
    }
    Ok(())
}

async fn events_of_a_deposit_twice_in_every_order_end_the_same(fixture: Arc<Fixture>) -> Result {
    let orders = orders(&[0, 0, 1, 1, 2, 2]);
    ensure_eq!(orders.len(), 90);
    let orders = sample_of(orders, SAMPLED);
    let shares = orders.chunks(orders.len().div_ceil(CUSTOMERS));
    try_join_all(shares.map(|share| deposits_in_orders(&fixture, share))).await?;
    Ok(())
}

async fn deposits_in_orders(fixture: &Fixture, orders: &[Vec<usize>]) -> Result {
    let tester = fixture.customer().await?;
    let mut flows = Vec::new();
    for order in orders {
        let flow = deposit(fixture, &tester, 100).await?;
        let events = bring_through(fixture, &flow, &[status::APPROVED, status::SUCCESSFUL])?;
        ensure_eq!(events.len(), 3);
        apply(fixture, &in_order(&events, order)).await?;
        succeeded(fixture, flow.id, &format!("the order {order:?}")).await?;
        flows.push(flow.id);
    }
    published_once_each(fixture, &tester, &flows).await
}

async fn events_of_a_redemption_in_every_order_and_again_end_the_same(fixture: Arc<Fixture>) -> Result {
    let orders = orders(&[0, 1, 2, 3, 4]);
    ensure_eq!(orders.len(), 120);
    let orders = sample_of(orders, SAMPLED);
    let shares = orders.chunks(orders.len().div_ceil(CUSTOMERS));
    try_join_all(shares.map(|share| redemptions_in_orders(&fixture, share))).await?;
    Ok(())
}

async fn event_of_a_redemption_needs_its_id_alone(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = withdrawal(&fixture, &tester, 1_000).await?;
    let events = bring_through(&fixture, &flow, &[status::SUCCESSFUL])?;
    let mut event = events.last().context("no event")?.clone();
    event["payload"] = json!({ "paymentID": flow.payment.id, "amount": "a new form", "status": null });
    apply(&fixture, &[event]).await?;
    ensure_eq!(tester.flow(flow.id).await?["status"], "success");
    Ok(())
}

async fn redemptions_in_orders(fixture: &Fixture, orders: &[Vec<usize>]) -> Result {
    let tester = fixture.customer().await?;
    let way = [status::PENDING, status::APPROVED, status::SUCCESSFUL];
    let mut flows = Vec::new();
    for (order, again) in orders.iter().zip(orders.iter().rev()) {
        let flow = withdrawal(fixture, &tester, 100).await?;
        let events = bring_through(fixture, &flow, &way)?;
        ensure_eq!(events.len(), 5);
        let mut delivered = in_order(&events, order);
        delivered.extend(in_order(&events, again));
        apply(fixture, &delivered).await?;
        succeeded(fixture, flow.id, &format!("the order {order:?}, then {again:?}")).await?;
        flows.push(flow.id);
    }
    published_once_each(fixture, &tester, &flows).await
}

/// SQS may give copies of one event to several instances at once.
async fn copies_at_the_same_time_count_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let first = deposit(&fixture, &tester, 100).await?;
    let mut events = bring_through(&fixture, &first, &[status::APPROVED, status::SUCCESSFUL])?;
    let second = withdrawal(&fixture, &tester, 100).await?;
    let way = [status::PENDING, status::APPROVED, status::SUCCESSFUL];
    events.extend(bring_through(&fixture, &second, &way)?);
    let backwards: Vec<Value> = events.iter().rev().cloned().collect();
    let batches = [&events, &backwards, &events, &backwards, &events, &backwards];
    for failed in try_join_all(batches.map(|batch| fixture.deliver(CONSUMER, batch))).await? {
        ensure_eq!(failed, Vec::<usize>::new());
    }
    succeeded(&fixture, first.id, "the deposit").await?;
    succeeded(&fixture, second.id, "the withdrawal").await?;
    published_once_each(&fixture, &tester, &[first.id, second.id]).await
}

async fn older_event_never_overwrites_a_newer_one(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = deposit(&fixture, &tester, 100).await?;
    let events = bring_through(&fixture, &flow, &[status::APPROVED, status::SUCCESSFUL])?;
    let [created, approved, successful] = &events[..] else {
        anyhow::bail!("the events are {events:?}")
    };
    // Approved is newer than Pending, though both are under way.
    apply(&fixture, &[approved.clone(), created.clone()]).await?;
    ensure_eq!(fixture.database.flow(flow.id).await?.status, "approved");
    // Late copies under ids of their own, one of which even claims to be from tomorrow.
    let old = copy(created, |_| {});
    let liar = copy(approved, |event| {
        event["timestamp"] = json!(Utc::now() + TimeDelta::days(1))
    });
    apply(&fixture, &[successful.clone(), old, liar]).await?;
    succeeded(&fixture, flow.id, "after old words").await?;
    let stored = "SELECT status_code::BIGINT FROM drivewealth_deposits WHERE money_flow_id = $1";
    ensure_eq!(
        fixture.database.count(stored, flow.id).await?,
        i64::from(status::SUCCESSFUL)
    );
    published_once_each(&fixture, &tester, &[flow.id]).await
}

/// The events of a suspension, for [`Fixture::outbox_has`].
const SUSPENDED: [&str; 2] = [
    "deposits.suspended → domain-events",
    "deposits.suspended → trading.events",
];

async fn returned_deposit_is_taken_back_and_suspends_deposits(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = deposit(&fixture, &tester, 100).await?;
    let events = bring_through(&fixture, &flow, &[status::APPROVED, status::SUCCESSFUL])?;
    apply(&fixture, &events).await?;
    succeeded(&fixture, flow.id, "before the return").await?;
    let cash = fixture.cash_of(&tester)?;

    fixture.cloud.drivewealth().return_deposit(&flow.payment.id)?;
    let events = fixture.cloud.drivewealth().events_of(&flow.payment.id);
    // All of it again, the return first.
    let backwards: Vec<Value> = events.iter().rev().cloned().collect();
    apply(&fixture, &backwards).await?;
    apply(&fixture, &backwards).await?;
    let row = tester.flow(flow.id).await?;
    ensure_eq!(
        (&row["status"], &row["failure_code"]),
        (&json!("failed"), &json!("returned-by-bank"))
    );
    let mut told = [&FAILED[..], &SUCCEEDED[..], &SUCCEEDED[2..], &SUSPENDED[..]].concat();
    told.sort_unstable();
    fixture.outbox_has(flow.id, &told).await?;
    let feed = tester.feed_reaches(3).await?;
    let titles: Vec<&Value> = feed.iter().map(|item| &item["title"]).collect();
    ensure!(
        titles.contains(&&json!("Deposit failed")) && titles.contains(&&json!("Deposits are suspended")),
        "{titles:?}"
    );
    ensure_eq!(fixture.cash_of(&tester)?, cash - 100);

    let profile = tester.profile().await?;
    ensure_eq!(profile["deposits_suspended"], json!(true));
    tester
        .deposit(100)
        .await?
        .expect_problem(409, "deposits-suspended")?;
    tester.withdraw(100).await?.expect(201)?;

    // The way out: an operator looks at it.
    let subject = format!("profile-{}", tester.customer.profile_id);
    let review = fixture
        .review_reaches("deposits-suspended", &subject, "open")
        .await?;
    fixture
        .decide("ada", &review, "resume-deposits", json!({}))
        .await?
        .expect(202)?;
    fixture
        .review_reaches("deposits-suspended", &subject, "applied")
        .await?;
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(false));
    tester.deposit(100).await?.expect(201)?;
    Ok(())
}

async fn return_reported_before_the_success_stays_a_return(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = deposit(&fixture, &tester, 100).await?;
    let way = [status::APPROVED, status::SUCCESSFUL, status::RETURNED];
    let events = bring_through(&fixture, &flow, &way)?;
    let backwards: Vec<Value> = events.iter().rev().cloned().collect();
    apply(&fixture, &backwards).await?;
    ensure_eq!(tester.flow(flow.id).await?["status"], json!("failed"));
    // It was never told to have succeeded, so there is no cash to follow either.
    fixture
        .outbox_has(flow.id, &[&SUSPENDED[..], &FAILED[..]].concat())
        .await?;
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(true));
    let feed = tester.feed_reaches(2).await?;
    ensure!(
        feed.iter().any(|item| item["title"] == json!("Deposit failed")),
        "{feed:?}"
    );
    Ok(())
}

async fn final_status_that_is_taken_back_needs_review(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    for (way, stays) in [
        ([status::SUCCESSFUL, status::FAILED], "success"),
        ([status::FAILED, status::SUCCESSFUL], "failed"),
    ] {
        let flow = deposit(&fixture, &tester, 100).await?;
        let events = bring_through(&fixture, &flow, &way)?;
        apply(&fixture, &events).await?;
        let row = fixture.database.flow(flow.id).await?;
        ensure_eq!(
            (row.status.as_str(), row.provider_state.as_str()),
            (stays, "parked"),
            "{way:?}"
        );
        ensure!(row.failure_reason.is_some(), "no reason: {row:?}");
        ensure_eq!(tester.flow(flow.id).await?["under_review"], json!(true));
    }
    Ok(())
}

async fn return_of_a_failed_deposit_suspends_deposits(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = deposit(&fixture, &tester, 100).await?;
    let events = bring_through(&fixture, &flow, &[status::FAILED])?;
    apply(&fixture, &events).await?;
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(false));
    let events = bring_through(&fixture, &flow, &[status::RETURNED])?;
    apply(&fixture, &events).await?;
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(true));
    // A person lifts it; the same word again, under another id, doesn't bring it back.
    let lift =
        "UPDATE profiles SET deposits_suspended_at = NULL, deposits_suspended_reason = NULL WHERE id = $1";
    fixture.database.change(lift, tester.customer.profile_id).await?;
    let again: Vec<Value> = events.iter().map(|event| copy(event, |_| {})).collect();
    apply(&fixture, &again).await?;
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(false));
    Ok(())
}

async fn unknown_status_is_kept_and_moves_nothing(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = deposit(&fixture, &tester, 100).await?;
    let events = bring_through(&fixture, &flow, &[99])?;
    apply(&fixture, &events).await?;
    let stored = "SELECT status_code::BIGINT FROM drivewealth_deposits WHERE money_flow_id = $1";
    ensure_eq!(fixture.database.count(stored, flow.id).await?, 99);
    ensure_eq!(tester.flow(flow.id).await?["status"], json!("pending"));
    ensure_eq!(fixture.database.outbox_of_flow(flow.id).await?, Vec::new());

    let events = bring_through(&fixture, &flow, &[status::SUCCESSFUL, -1])?;
    apply(&fixture, &events).await?;
    succeeded(&fixture, flow.id, "after an unknown status").await?;

    let flow = withdrawal(&fixture, &tester, 100).await?;
    let events = bring_through(&fixture, &flow, &[99])?;
    apply(&fixture, &events).await?;
    let stored = "SELECT status_code::BIGINT FROM drivewealth_redemptions WHERE money_flow_id = $1";
    ensure_eq!(fixture.database.count(stored, flow.id).await?, 99);
    ensure!(
        tester.flow(flow.id).await?["status"] != "failed",
        "an unknown status failed the flow"
    );
    let events = bring_through(&fixture, &flow, &[status::SUCCESSFUL])?;
    apply(&fixture, &events).await?;
    succeeded(&fixture, flow.id, "after an unknown status").await
}

async fn unknown_type_is_kept(fixture: Arc<Fixture>) -> Result {
    let kinds = [
        "orders.completed",
        "mam.allocationlist.created",
        "something.nobody.announced",
    ];
    let event = |kind: &&str| json!({ "id": format!("event_{}", Uuid::now_v7()), "type": kind, "timestamp": Utc::now(), "payload": { "a": [1] } });
    let events: Vec<Value> = kinds.iter().map(event).collect();
    apply(&fixture, &events).await?;
    apply(&fixture, &events).await?;
    for (event, kind) in events.iter().zip(kinds) {
        let kept = fixture
            .database
            .inbox(event["id"].as_str().unwrap_or_default())
            .await?;
        let kept = kept.context("it isn't kept")?;
        ensure_eq!((kept.source.as_str(), kept.kind.as_str()), ("drivewealth", kind));
        ensure_eq!(kept.payload, event["payload"]);
    }
    Ok(())
}

async fn numbers_are_kept_to_the_last_digit(fixture: Arc<Fixture>) -> Result {
    let id = format!("event_{}", Uuid::now_v7());
    // More digits than a float has.
    let amount = "12345678901234567890.12";
    let event = format!(
        r#"{{"id":"{id}","type":"orders.completed","timestamp":"{}","payload":{{"amount":{amount}}}}}"#,
        Utc::now().to_rfc3339()
    );
    fixture.send("drivewealth-events", &event).await?;
    eventually("the event is kept", async || {
        let kept: Option<String> =
            sqlx::query_scalar("SELECT payload ->> 'amount' FROM inbox_events WHERE event_id = $1")
                .bind(&id)
                .fetch_optional(fixture.database.pool())
                .await?;
        ensure_eq!(kept.as_deref(), Some(amount));
        Ok(())
    })
    .await
}

async fn payment_that_disagrees_with_its_flow_needs_review(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let changes: [(&str, Value); 2] = [
        ("amount", json!(1.01)),
        ("accountID", json!(other.customer.drivewealth_account_id)),
    ];
    for (field, value) in changes {
        let flow = deposit(&fixture, &tester, 100).await?;
        let events = bring_through(&fixture, &flow, &[status::APPROVED, status::SUCCESSFUL])?;
        let wrong = copy(&events[2], |event| event["payload"][field] = value);
        apply(&fixture, &[wrong]).await?;
        let row = fixture.database.flow(flow.id).await?;
        ensure_eq!(
            (row.status.as_str(), row.provider_state.as_str()),
            ("pending", "parked"),
            "a wrong {field}"
        );
        // A person decides: not even the right word moves it now.
        apply(&fixture, &events).await?;
        ensure_eq!(
            fixture.database.flow(flow.id).await?.status,
            "pending",
            "a wrong {field}"
        );
        ensure_eq!(
            fixture.database.outbox_of_flow(flow.id).await?,
            Vec::new(),
            "a wrong {field}"
        );
    }
    Ok(())
}

async fn payments_that_are_not_ours_are_kept_and_harmless(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = deposit(&fixture, &tester, 100).await?;
    let events = bring_through(&fixture, &flow, &[status::SUCCESSFUL])?;
    let strange = |change: fn(&mut Value)| copy(&events[1], change);
    let foreign = [
        strange(|event| event["payload"]["paymentID"] = json!("ZZZZ000001-1700000000000-DABCD")),
        strange(|event| {
            event["payload"]["paymentID"] = json!("ZZZZ000002-1700000000000-DABCD");
            event["payload"]["accountID"] = json!(format!("{}.1700000000000", Uuid::new_v4()));
            event["payload"]["status"] = json!(status::RETURNED);
        }),
    ];
    apply(&fixture, &foreign).await?;
    for event in &foreign {
        let kept = fixture
            .database
            .inbox(event["id"].as_str().unwrap_or_default())
            .await?;
        ensure!(kept.is_some(), "not kept: {event}");
    }
    ensure_eq!(tester.flow(flow.id).await?["status"], json!("pending"));
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(false));
    ensure_eq!(fixture.database.outbox_of_flow(flow.id).await?, Vec::new());
    Ok(())
}

async fn event_that_is_malformed_is_reported_alone(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = deposit(&fixture, &tester, 100).await?;
    let events = bring_through(&fixture, &flow, &[status::SUCCESSFUL])?;
    let broken = |field: &str, value: Value| copy(&events[1], |event| event["payload"][field] = value);
    let batch = [
        broken("paymentID", json!(null)),
        broken("amount", json!("much")),
        broken("status", json!({ "a": 1 })),
        events[0].clone(),
        json!({ "id": "x", "type": "deposits.updated" }),
        json!([]),
        events[1].clone(),
    ];
    ensure_eq!(fixture.deliver(CONSUMER, &batch).await?, [0, 1, 2, 4, 5]);
    succeeded(&fixture, flow.id, "beside events that can't be read").await
}

/// The sandbox itself sends every event twice, each late by a time of its own.
async fn events_through_the_queue_late_twice_and_shuffled_end_the_same(fixture: Arc<Fixture>) -> Result {
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.duplicate_events(true);
    drivewealth.shuffle_events(true);
    drivewealth.auto_advance(Some(std::time::Duration::from_millis(20)));
    let testers = try_join_all((0..4).map(|_| fixture.customer())).await?;
    let mut flows = Vec::new();
    for tester in &testers {
        let deposit = tester.deposit(5_000).await?.expect(201)?.number("id")?;
        let withdrawal = tester.withdraw(1_000).await?.expect(201)?.number("id")?;
        flows.push([deposit, withdrawal]);
    }
    let mut outcome = Ok(());
    for (tester, ids) in testers.iter().zip(&flows) {
        outcome = outcome.and(published_once_each(&fixture, tester, ids).await);
    }
    drivewealth.duplicate_events(false);
    drivewealth.shuffle_events(false);
    outcome?;
    drivewealth.flush_events().await;
    fixture.queue_reaches("drivewealth-events", 0).await?;
    for id in flows.into_iter().flatten() {
        succeeded(&fixture, id, "shuffled").await?;
    }
    Ok(())
}
