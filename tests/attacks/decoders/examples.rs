//! Real examples: the event files, and what functions and outside parties have sent in a running local cloud.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use end_to_end::billing::VISA;
use end_to_end::{Fixture, Result, root};
use serde_json::{Value, json};

/// The event with which a function is called, as the repository has it.
pub(crate) fn event_file(function: &str) -> Result<Value> {
    let file = root().join("events").join(format!("{function}.json"));
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// The bodies of the messages in an event file.
pub(crate) fn bodies_of_event_file(function: &str) -> Result<Vec<Vec<u8>>> {
    let event = event_file(function)?;
    let records = event["Records"].as_array().context("no messages")?;
    let bodies = records.iter().filter_map(|record| record["body"].as_str());
    Ok(bodies.map(|body| body.as_bytes().to_vec()).collect())
}

/// The values of the records in an event file.
pub(crate) fn records_of_event_file(function: &str) -> Result<Vec<Vec<u8>>> {
    let event = event_file(function)?;
    let partitions = event["records"].as_object().context("no partitions")?.values();
    let records = partitions.filter_map(Value::as_array).flatten();
    let values = records.filter_map(|record| record["value"].as_str());
    values.map(|value| Ok(STANDARD.decode(value)?)).collect()
}

/// The body of the request in an event file.
pub(crate) fn request_body_of_event_file(function: &str) -> Result<Vec<u8>> {
    let event = event_file(function)?;
    Ok(event["body"].as_str().context("no body")?.as_bytes().to_vec())
}

/// Somebody of each kind, with what they have done, so that messages about them have an effect; the files speak of the ids 1.
pub(crate) async fn prepare(fixture: &Fixture) -> Result {
    let customer = fixture.customer().await?;
    customer.deposit(1_000).await?.expect(201)?;
    customer.withdraw(1_000).await?.expect(201)?;
    customer.save_card(fixture, VISA).await?;
    let invoice = fixture.invoice(&customer, 1_631).await?;
    fixture.pay(invoice, chrono::Utc::now()).await?;
    let trader = fixture.trader().await?;
    fixture.earn(&trader, 1, 100_000).await?;
    fixture
        .can_be_paid(&trader, end_to_end::withdrawals::PAYS)
        .await?;
    trader.withdrawal(10_000).await?;
    fixture.dealer_with_fast_buyout().await?.owes_issued(100).await?;
    Ok(())
}

/// Messages that a queue was given, one of each kind.
pub(crate) async fn sent_to(fixture: &Fixture, queue: &str) -> Result<Vec<Vec<u8>>> {
    let newest = "SELECT DISTINCT ON (kind) payload FROM outbox_messages WHERE destination = $1 ORDER BY kind, id DESC";
    let payloads: Vec<Value> = sqlx::query_scalar(newest)
        .bind(queue)
        .fetch_all(fixture.database.pool())
        .await?;
    Ok(payloads
        .iter()
        .map(|payload| payload.to_string().into_bytes())
        .collect())
}

/// DriveWealth's events so far, one of each kind, as they came.
pub(crate) async fn sent_by_drivewealth(fixture: &Fixture) -> Result<Vec<Vec<u8>>> {
    let newest = "SELECT DISTINCT ON (kind) event_id, kind, occurred_at, payload FROM inbox_events \
         WHERE source = 'drivewealth' ORDER BY kind, received_at DESC";
    let events: Vec<(String, String, chrono::DateTime<chrono::Utc>, Value)> =
        sqlx::query_as(newest).fetch_all(fixture.database.pool()).await?;
    let events = events.into_iter().map(|(id, kind, timestamp, payload)| {
        json!({ "id": id, "type": kind, "timestamp": timestamp, "payload": payload })
    });
    Ok(events.map(|event| event.to_string().into_bytes()).collect())
}

/// Stripe's events so far, one of each kind, as it delivers them.
pub(crate) fn sent_by_stripe(fixture: &Fixture) -> Vec<Vec<u8>> {
    let mut events = fixture.cloud.stripe().events();
    events.sort_by(|left, right| left.kind.cmp(&right.kind));
    events.dedup_by(|left, right| left.kind == right.kind);
    let delivered = events.into_iter().map(|event| {
        json!({
            "id": event.id, "object": "event", "api_version": "2026-09-30.endive", "created": event.created,
            "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null },
            "type": event.kind, "data": { "object": event.object },
        })
    });
    delivered.map(|event| event.to_string().into_bytes()).collect()
}

/// The same message under an id that nobody has seen, so that it isn't taken for a repetition.
pub(crate) fn afresh(example: &[u8], number: u64) -> Vec<u8> {
    let Ok(mut message) = serde_json::from_slice::<Value>(example) else {
        return example.to_vec();
    };
    for field in ["id", "paymentId", "assessmentId"] {
        if let Some(Value::String(id)) = message.get_mut(field) {
            *id = match uuid::Uuid::parse_str(id) {
                Ok(_) => uuid::Uuid::now_v7().to_string(),
                Err(_) => format!("{id}x{number}"),
            };
        }
    }
    if let Some(sequence @ Value::Number(_)) = message.get_mut("sequence") {
        *sequence = json!(1_000 + number);
    }
    message.to_string().into_bytes()
}
