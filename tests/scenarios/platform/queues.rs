//! The system's own queues and its outbox: a poison message doesn't stop the others and can be brought back, and what
//! is to be told gets through at least once and in order, whatever fails in between.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use end_to_end::{
    Fixture, Result, SUCCEEDED, Scenario, Tester, TopicMessage, ensure_eq, eventually, new_domain_event,
    scenarios, topic_messages,
};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

const EVENTS: &str = "drivewealth-events";
const DEAD: &str = "drivewealth-events-dead";
/// So often is a message received before it is given up.
const RECEIVES: u32 = 10;
const RELAY: &str = "relay_outbox";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(poison_messages_die_while_others_go_through),
        alone(dead_message_is_processed_after_a_redrive),
        alone(events_of_a_killed_function_are_applied_once),
        alone(domain_event_of_unknown_shape_dies_alone),
        events_of_one_key_are_on_the_topic_in_order,
        failed_message_holds_up_its_own_key_and_destination_only,
        stuck_destination_does_not_hide_the_others,
        alone(relay_that_is_cut_off_releases_its_lock),
        alone(secret_that_does_not_come_holds_up_kafka_only),
        alone(queue_out_of_reach_gets_everything_later),
        alone(event_published_twice_counts_once),
        alone(two_relays_at_once_publish_once),
        old_records_are_deleted_and_others_kept,
        database_sessions_hold_no_lock_for_long,
        alone(lost_wake_up_is_made_up_for_by_the_schedule),
    ]
}

async fn arrived_once(fixture: &Fixture, tester: &Tester, flow: i64) -> Result {
    tester.flow_reaches(flow, "success").await?;
    fixture.outbox_has(flow, &SUCCEEDED).await?;
    tester.feed_reaches(1).await?;
    eventually("the phone has one message", async || {
        let messages = fixture
            .cloud
            .firebase()
            .messages_to(&tester.customer.device_token);
        ensure!(messages.len() == 1, "it has {messages:?}");
        Ok(())
    })
    .await
}

async fn poison_messages_die_while_others_go_through(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let unreadable = json!({ "id": "1", "type": "deposits.updated", "timestamp": Utc::now(), "payload": {} });
    fixture.send(EVENTS, "this is no JSON").await?;
    fixture.send(EVENTS, &unreadable.to_string()).await?;
    let id = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    arrived_once(&fixture, &tester, id).await?;
    fixture.queue_reaches(DEAD, 2).await?;
    fixture.queue_reaches(EVENTS, 0).await?;
    let dead = fixture.waiting_in(DEAD).await?;
    ensure!(dead.contains(&json!("this is no JSON")), "dead are {dead:?}");
    ensure!(dead.iter().any(|body| body["id"] == "1"), "dead are {dead:?}");

    // Brought back it is as poisonous as before.
    eventually("both are brought back", async || {
        let moved = fixture.cloud.redrive(EVENTS).await?;
        ensure!(moved == 2, "{moved} were moved");
        Ok(())
    })
    .await?;
    fixture.queue_reaches(EVENTS, 0).await?;
    fixture.queue_reaches(DEAD, 2).await?;
    empty(&fixture, DEAD).await
}

async fn empty(fixture: &Fixture, queue: &str) -> Result {
    let url = fixture.cloud.queue_url(queue)?;
    fixture.cloud.sqs().purge_queue().queue_url(url).send().await?;
    fixture.queue_reaches(queue, 0).await
}

/// The broker refuses to tell of an account for as long as the message lives; later it doesn't.
async fn dead_message_is_processed_after_a_redrive(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    // The event of the new account comes first: it asks about the same account.
    fixture.cloud.drivewealth().flush_events().await;
    fixture.queue_reaches(EVENTS, 0).await?;
    let account = &tester.customer.drivewealth_account_id;
    let refuse = Effect::Refuse {
        status: 400,
        error_code: "E030".to_owned(),
        message: "not now".to_owned(),
    };
    let fault = Fault::new("GET", &format!("/accounts/{account}"), refuse);
    fixture.cloud.drivewealth().fault(fault.times(RECEIVES));
    fixture
        .cloud
        .drivewealth()
        .set_account_status(account, "FROZEN")?;
    fixture.queue_reaches(DEAD, 1).await?;
    ensure_eq!(tester.profile().await?["account_status"], json!("open"));
    ensure_eq!(fixture.cloud.redrive(DEAD).await?, 1);
    eventually("the event is applied", async || {
        let profile = tester.profile().await?;
        ensure!(profile["account_status"] == "frozen", "the profile is {profile}");
        Ok(())
    })
    .await?;
    fixture.queue_reaches(EVENTS, 0).await?;
    fixture.queue_reaches(DEAD, 0).await
}

async fn events_of_a_killed_function_are_applied_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    // The event of the new account comes first: it asks about the same account.
    fixture.cloud.drivewealth().flush_events().await;
    fixture.queue_reaches(EVENTS, 0).await?;
    let account = &tester.customer.drivewealth_account_id;
    let path = format!("/accounts/{account}");
    let hang = Effect::Hang {
        for_ms: 3_000,
        after_doing: false,
    };
    fixture.cloud.drivewealth().fault(Fault::new("GET", &path, hang));
    fixture
        .cloud
        .drivewealth()
        .set_account_status(account, "FROZEN")?;
    eventually("the function asks the broker", async || {
        let calls = fixture.cloud.drivewealth().calls();
        ensure!(
            calls
                .iter()
                .any(|call| call.path == path && call.status.is_none()),
            "not yet"
        );
        Ok(())
    })
    .await?;
    ensure!(
        fixture.cloud.kill("apply_drivewealth_event").await? > 0,
        "nothing was killed"
    );
    eventually("the event is applied", async || {
        let profile = tester.profile().await?;
        ensure!(profile["account_status"] == "frozen", "the profile is {profile}");
        Ok(())
    })
    .await?;
    fixture.queue_reaches(EVENTS, 0).await?;
    ensure_eq!(fixture.held_by(DEAD).await?, 0);
    Ok(())
}

async fn domain_event_of_unknown_shape_dies_alone(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let key = format!("profile-{}", tester.customer.profile_id);
    let wrong = new_domain_event("money-flow.succeeded", &key, json!({ "money_flow_id": "one" }));
    let other = new_domain_event("something.else", &key, json!({}));
    fixture.send("domain-events", &wrong.to_string()).await?;
    fixture.send("domain-events", &other.to_string()).await?;
    let id = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    arrived_once(&fixture, &tester, id).await?;
    fixture.queue_reaches("domain-events-dead", 1).await?;
    fixture.queue_reaches("domain-events", 0).await?;
    ensure_eq!(fixture.waiting_in("domain-events-dead").await?, [wrong]);
    empty(&fixture, "domain-events-dead").await
}

/// Writes events of a key to the outbox as a use case would.
async fn write_events(
    fixture: &Fixture,
    key: &str,
    destination: (&str, &str),
    count: i64,
) -> Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for number in 0..count {
        let event = new_domain_event("probe.happened", key, json!({ "number": number }));
        let id: Uuid = event["id"].as_str().context("the event has no id")?.parse()?;
        sqlx::query(
            "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
             VALUES ($1, 'probe.happened', $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(key)
        .bind(&event)
        .bind(destination.0)
        .bind(destination.1)
        .execute(fixture.database.pool())
        .await?;
        ids.push(id);
    }
    Ok(ids)
}

async fn on_the_topic(fixture: &Fixture, key: &str) -> Result<Vec<TopicMessage>> {
    let messages = topic_messages(fixture.cloud.kafka_brokers(), "trading.events").await?;
    Ok(messages
        .into_iter()
        .filter(|message| message.key == key)
        .collect())
}

/// Waits until the topic has just these events of a key; what others tell meanwhile can hide one from a single look.
async fn topic_has(fixture: &Fixture, key: &str, expected: &[Uuid]) -> Result<Vec<TopicMessage>> {
    eventually("the topic has the key's events", async || {
        let messages = on_the_topic(fixture, key).await?;
        ensure_eq!(ids(&messages), expected);
        Ok(messages)
    })
    .await
}

fn ids(messages: &[TopicMessage]) -> Vec<Uuid> {
    let id = |message: &TopicMessage| message.payload["id"].as_str()?.parse().ok();
    messages.iter().filter_map(id).collect()
}

async fn events_of_one_key_are_on_the_topic_in_order(fixture: Arc<Fixture>) -> Result {
    let key = format!("key-{}", Uuid::now_v7());
    let told = write_events(&fixture, &key, ("topic", "trading.events"), 20).await?;
    fixture.relay_outbox().await?;
    let messages = topic_has(&fixture, &key, &told).await?;
    let first = messages.first().context("the topic has nothing")?;
    ensure!(
        messages
            .iter()
            .all(|message| message.partition == first.partition),
        "on several partitions"
    );
    for message in &messages {
        let correlation_id = message.payload["correlation_id"].as_str().unwrap_or_default();
        let expected = [
            ("event-id", message.payload["id"].as_str().unwrap_or_default()),
            ("event-type", "probe.happened"),
            ("x-correlation-id", correlation_id),
        ];
        let headers: Vec<(&str, &str)> = message
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        ensure_eq!(headers, expected);
    }
    Ok(())
}

/// The first message of a key can't be read; those behind it wait, and nobody else does.
async fn failed_message_holds_up_its_own_key_and_destination_only(fixture: Arc<Fixture>) -> Result {
    let (stuck, free) = (
        format!("stuck-{}", Uuid::now_v7()),
        format!("free-{}", Uuid::now_v7()),
    );
    let first = new_domain_event("probe.happened", &stuck, json!({}));
    let first_id: Uuid = first["id"].as_str().context("the event has no id")?.parse()?;
    sqlx::query(
        "INSERT INTO outbox_messages \
             (event_id, kind, ordering_key, source, source_id, destination_kind, destination) \
         VALUES ($1, 'probe.happened', $2, 'nothing_there', 1, 'topic', 'trading.events')",
    )
    .bind(first_id)
    .bind(&stuck)
    .execute(fixture.database.pool())
    .await?;
    let behind = write_events(&fixture, &stuck, ("topic", "trading.events"), 2).await?;
    let told = [vec![first_id], behind].concat();
    let elsewhere = write_events(&fixture, &stuck, ("queue", "domain-events"), 1).await?;
    let others = write_events(&fixture, &free, ("topic", "trading.events"), 3).await?;
    fixture.relay_outbox().await?;
    let rows = fixture.database.outbox_of_key(&stuck).await?;
    for row in &rows {
        let is_elsewhere = elsewhere.contains(&row.event_id);
        ensure!(row.held != is_elsewhere, "{row:?}");
        ensure!(row.published_at.is_some() == is_elsewhere, "{row:?}");
    }
    topic_has(&fixture, &stuck, &[]).await?;
    topic_has(&fixture, &free, &others).await?;

    grows_slower(&fixture, &stuck).await?;

    // Once it gets through, so do those behind it, in order.
    let mend = "UPDATE outbox_messages SET payload = $2, source = NULL, source_id = NULL WHERE event_id = $1";
    sqlx::query(mend)
        .bind(first_id)
        .bind(first)
        .execute(fixture.database.pool())
        .await?;
    due_in(&fixture, &stuck, 0.0).await?;
    fixture.relay_outbox().await?;
    topic_has(&fixture, &stuck, &told).await?;
    Ok(())
}

/// Has a held key tried again so many seconds from now.
async fn due_in(fixture: &Fixture, key: &str, seconds: f64) -> Result {
    let change =
        "UPDATE outbox_held_keys SET retry_at = now() + make_interval(secs => $2) WHERE ordering_key = $1";
    let change = sqlx::query(change).bind(key).bind(seconds);
    change.execute(fixture.database.pool()).await?;
    Ok(())
}

/// A failure is repeated at growing distances, and not before its time.
async fn grows_slower(fixture: &Fixture, key: &str) -> Result {
    let held = async || {
        let row = "SELECT attempts, retry_at FROM outbox_held_keys WHERE ordering_key = $1";
        let row = sqlx::query_as(row).bind(key).fetch_one(fixture.database.pool());
        let row: (i32, DateTime<Utc>) = row.await?;
        anyhow::Ok(row)
    };
    let mut pauses = Vec::new();
    for _ in 0..3 {
        due_in(fixture, key, 0.0).await?;
        fixture.relay_outbox().await?;
        // From the relay's end on: how long it worked has no part in it.
        pauses.push(held().await?.1 - Utc::now());
    }
    ensure!(
        pauses.windows(2).all(|pair| pair[1] > pair[0]),
        "the pauses don't grow: {pauses:?}"
    );
    due_in(fixture, key, 3600.0).await?;
    let before = held().await?;
    fixture.relay_outbox().await?;
    ensure_eq!(held().await?, before);
    Ok(())
}

/// A destination that takes nothing has more waiting than a wave holds, and all of it is older.
async fn stuck_destination_does_not_hide_the_others(fixture: Arc<Fixture>) -> Result {
    let mark = Uuid::now_v7().to_string();
    let stuck = "INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination) \
                 SELECT gen_random_uuid(), 'probe.happened', $1 || number, '{}', 'queue', 'nobodys-queue' \
                 FROM generate_series(1, 1200) AS number";
    sqlx::query(stuck)
        .bind(&mark)
        .execute(fixture.database.pool())
        .await?;
    let told = write_events(&fixture, &mark, ("topic", "trading.events"), 3).await?;
    fixture.relay_outbox().await?;
    topic_has(&fixture, &mark, &told).await?;
    for table in ["outbox_messages", "outbox_held_destinations"] {
        let delete = AssertSqlSafe(format!("DELETE FROM {table} WHERE destination = 'nobodys-queue'"));
        sqlx::query(delete).execute(fixture.database.pool()).await?;
    }
    Ok(())
}

/// A relay that ends in the middle of its work, here because its database connection is cut, is not waited for.
async fn relay_that_is_cut_off_releases_its_lock(fixture: Arc<Fixture>) -> Result {
    let mut blocker = fixture.database.pool().begin().await?;
    let key = format!("key-{}", Uuid::now_v7());
    let told = write_events(&fixture, &key, ("topic", "trading.events"), 1).await?;
    // The relay publishes, and then can't record it for as long as this transaction holds the row.
    sqlx::query("SELECT id FROM outbox_messages WHERE ordering_key = $1 FOR UPDATE")
        .bind(&key)
        .fetch_one(&mut *blocker)
        .await?;
    let failed = fixture.cloud.run_schedule(RELAY, None).await?;
    ensure!(
        failed.function_error.is_some(),
        "it ended well: {}",
        failed.payload
    );
    blocker.rollback().await?;
    fixture.relay_outbox().await?;
    let published = fixture.database.outbox_of_key(&key).await?;
    ensure!(
        published.iter().all(|row| row.published_at.is_some()),
        "not published: {published:?}"
    );
    // At least once: the first relay's has no record.
    topic_has(&fixture, &key, &[told.clone(), told].concat()).await?;
    Ok(())
}

/// What asks for Kafka's credentials waits: once for all messages, and no queue's message with them.
async fn secret_that_does_not_come_holds_up_kafka_only(fixture: Arc<Fixture>) -> Result {
    // The system takes connections for it, and it never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", silent.local_addr()?);
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:kafka";
    let change = |name: &str, value: &str| fixture.cloud.set_function_environment(RELAY, name, value);
    change("AWS_ENDPOINT_URL_SECRETS_MANAGER", &endpoint)?;
    change("KAFKA_SECRET_ARN", arn)?;
    change("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")?;
    let mark = Uuid::now_v7().to_string();
    let outcome = while_secret_hangs(&fixture, &mark).await;
    change("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")?;
    outcome?;
    eventually("the topic's messages are published too", async || {
        fixture.relay_outbox().await?;
        for key in 0..4 {
            let rows = fixture.database.outbox_of_key(&format!("{mark}-{key}")).await?;
            ensure!(
                rows.iter().all(|row| row.published_at.is_some()),
                "not published: {rows:?}"
            );
        }
        Ok(())
    })
    .await
}

async fn while_secret_hangs(fixture: &Fixture, mark: &str) -> Result {
    for key in 0..4 {
        let key = format!("{mark}-{key}");
        write_events(fixture, &key, ("topic", "trading.events"), 1).await?;
        write_events(fixture, &key, ("queue", "domain-events"), 1).await?;
    }
    let report = fixture.relay_outbox().await?;
    ensure!(
        report["failed"] == 4 && report["published"] == 4,
        "the relay says {report}"
    );
    for key in 0..4 {
        for row in fixture.database.outbox_of_key(&format!("{mark}-{key}")).await? {
            let is_of_queue = row.destination == "domain-events";
            ensure!(row.published_at.is_some() == is_of_queue && !row.held, "{row:?}");
        }
    }
    Ok(())
}

async fn queue_out_of_reach_gets_everything_later(fixture: Arc<Fixture>) -> Result {
    let url = fixture.cloud.queue_url("domain-events")?;
    let gone = url.replace("domain-events", "gone");
    fixture
        .cloud
        .set_function_environment(RELAY, "QUEUE_DOMAIN_EVENTS_URL", &gone)?;
    let outcome = while_out_of_reach(&fixture).await;
    fixture
        .cloud
        .set_function_environment(RELAY, "QUEUE_DOMAIN_EVENTS_URL", &url)?;
    let (tester, flow) = outcome?;
    eventually("the relay has published everything", async || {
        fixture.relay_outbox().await?;
        fixture
            .database
            .outbox_of_flow(flow)
            .await?
            .iter()
            .try_for_each(|row| {
                ensure!(row.published_at.is_some(), "not published: {row:?}");
                Ok(())
            })
    })
    .await?;
    arrived_once(&fixture, &tester, flow).await
}

async fn while_out_of_reach(fixture: &Fixture) -> Result<(Tester, i64)> {
    let tester = fixture.customer().await?;
    let flow = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(flow, "success").await?;
    eventually("the other destinations have it", async || {
        for row in fixture.database.outbox_of_flow(flow).await? {
            let is_out_of_reach = row.destination == "domain-events";
            ensure!(row.published_at.is_some() != is_out_of_reach, "{row:?}");
        }
        Ok(())
    })
    .await?;
    eventually("the queue is known to be out of reach", async || {
        let reason: Option<String> = sqlx::query_scalar(
            "SELECT last_error FROM outbox_held_destinations WHERE destination = 'domain-events'",
        )
        .fetch_optional(fixture.database.pool())
        .await?;
        ensure!(reason.is_some(), "it isn't");
        Ok(())
    })
    .await?;
    ensure_eq!(tester.feed().await?.len(), 0);
    Ok((tester, flow))
}

/// A relay that died after publishing and before it noted that publishes again.
async fn event_published_twice_counts_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let flow = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    arrived_once(&fixture, &tester, flow).await?;
    let forget = "UPDATE outbox_messages SET published_at = NULL \
                  WHERE (payload #>> '{data,money_flow_id}')::BIGINT = $1";
    ensure_eq!(fixture.database.change(forget, flow).await?, 3);
    fixture.relay_outbox().await?;
    fixture.outbox_has(flow, &SUCCEEDED).await?;
    let key = format!("profile-{}", tester.customer.profile_id);
    let messages = on_the_topic(&fixture, &key).await?;
    ensure_eq!(messages.len(), 2, "messages on the topic");
    ensure_eq!(messages[0].payload, messages[1].payload);
    for queue in ["domain-events", "portfolio-changes"] {
        fixture.queue_reaches(queue, 0).await?;
    }
    ensure_eq!(tester.feed().await?.len(), 1);
    ensure_eq!(tester.unread().await?, 1);
    ensure_eq!(
        fixture
            .cloud
            .firebase()
            .messages_to(&tester.customer.device_token)
            .len(),
        1
    );
    Ok(())
}

async fn two_relays_at_once_publish_once(fixture: Arc<Fixture>) -> Result {
    let key = format!("key-{}", Uuid::now_v7());
    let told = write_events(&fixture, &key, ("topic", "trading.events"), 30).await?;
    let relays = [
        fixture.relay_outbox(),
        fixture.relay_outbox(),
        fixture.relay_outbox(),
    ];
    futures::future::try_join_all(relays).await?;
    topic_has(&fixture, &key, &told).await?;
    Ok(())
}

async fn old_records_are_deleted_and_others_kept(fixture: Arc<Fixture>) -> Result {
    let mark = Uuid::now_v7().to_string();
    let pool = fixture.database.pool();
    sqlx::query(
        "INSERT INTO outbox_messages \
             (event_id, kind, ordering_key, payload, destination_kind, destination, created_at, published_at) \
         SELECT gen_random_uuid(), 'probe.happened', $1, to_json(days), 'queue', 'domain-events', at, at \
         FROM (SELECT days, now() - days * interval '1 day' AS at FROM unnest(ARRAY[1, 29, 31, 400]) AS days) AS ages",
    )
    .bind(&mark)
    .execute(pool)
    .await?;
    sqlx::query(
        "INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at) \
         SELECT $1, days::TEXT, 'probe.happened', now(), '{}', now() - days * interval '1 day' \
         FROM unnest(ARRAY[1, 89, 91, 400]) AS days",
    )
    .bind(&mark)
    .execute(pool)
    .await?;
    fixture.run("prune_records", json!({})).await?;
    let kept = fixture.database.outbox_of_key(&mark).await?;
    let kept: Vec<Value> = kept.into_iter().map(|row| row.payload).collect();
    ensure_eq!(kept, [json!(1), json!(29)]);
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT event_id FROM inbox_events WHERE source = $1 ORDER BY received_at DESC")
            .bind(&mark)
            .fetch_all(pool)
            .await?;
    ensure_eq!(kept, ["1", "89"]);
    Ok(())
}

/// The migrations give the functions' role its limits; the code sets none.
async fn database_sessions_hold_no_lock_for_long(fixture: Arc<Fixture>) -> Result {
    let limits: Vec<String> = sqlx::query_scalar(
        "SELECT current_setting(name) FROM unnest(ARRAY['statement_timeout', 'lock_timeout', \
         'idle_in_transaction_session_timeout', 'TimeZone']) WITH ORDINALITY AS settings (name, place) ORDER BY place",
    )
    .fetch_all(fixture.database.pool())
    .await?;
    ensure_eq!(limits, ["10s", "5s", "10s", "UTC"]);
    Ok(())
}

async fn lost_wake_up_is_made_up_for_by_the_schedule(fixture: Arc<Fixture>) -> Result {
    fixture.cloud.pause_event_source("outbox-nudges", true).await?;
    let outcome = without_wake_ups(&fixture).await;
    fixture.cloud.pause_event_source("outbox-nudges", false).await?;
    outcome
}

async fn without_wake_ups(fixture: &Fixture) -> Result {
    let tester = fixture.customer().await?;
    let flow = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(flow, "success").await?;
    let rows = fixture.database.outbox_of_flow(flow).await?;
    ensure!(
        rows.iter().all(|row| row.published_at.is_none()),
        "published without a wake-up: {rows:?}"
    );
    fixture.relay_outbox().await?;
    arrived_once(fixture, &tester, flow).await
}
