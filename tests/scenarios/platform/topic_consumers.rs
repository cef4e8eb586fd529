//! What a topic's event source and the entry point for topics do with a consumer that fails, refuses, hangs or is killed.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};

use crate::queue_consumers::{Journal, mark, message};

const TOPIC: &str = "probe.records";
const CONSUMER: &str = "probe_topic_consumer";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        records_of_a_key_are_done_in_order_past_a_failure_while_other_keys_go_on,
        refused_record_goes_to_the_failure_queue_and_its_partition_moves_on,
        unreadable_record_goes_to_the_failure_queue_as_it_was,
        // Alone: it moves whatever the failure queue holds.
        alone(given_up_record_is_done_when_it_is_redriven),
        alone(records_of_a_killed_function_come_again_in_order),
        topic_failures_are_reported_by_partition_and_offset,
    ]
}

async fn send(fixture: &Fixture, key: &str, bodies: &[String]) -> Result {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", fixture.cloud.kafka_brokers())
        .set("enable.idempotence", "true")
        .create()?;
    for body in bodies {
        let record = FutureRecord::to(TOPIC).key(key).payload(body);
        let sent = producer.send(record, Duration::from_secs(10)).await;
        sent.map_err(|(error, _)| error)?;
    }
    Ok(())
}

fn names(mark: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|number| format!("{mark}-{number}"))
        .collect()
}

async fn records_of_a_key_are_done_in_order_past_a_failure_while_other_keys_go_on(
    fixture: Arc<Fixture>,
) -> Result {
    let journal = Journal::open()?;
    let marks = [mark(), mark(), mark(), mark()];
    for (position, mark) in marks.iter().enumerate() {
        let bodies: Vec<String> = (0..12)
            .map(|number| match (position, number) {
                (0, 5) => message("fail_once", &format!("{mark}-{number}")),
                _ => message("succeed", &format!("{mark}-{number}")),
            })
            .collect();
        send(&fixture, mark, &bodies).await?;
    }
    for mark in &marks {
        journal.shows(mark, &names(mark, 0..12)).await?;
    }
    Ok(())
}

/// The failure queue's messages about records of a key, by their reasons and values.
async fn given_up(fixture: &Fixture, key: &str) -> Result<Vec<(Value, Value)>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = |value: &Value| {
        let bytes = STANDARD
            .decode(value.as_str().unwrap_or_default())
            .unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    };
    let waiting = fixture.waiting_in("records-failed").await?;
    let of_key = waiting
        .into_iter()
        .filter(|failed| text(&failed["record"]["key"]) == key);
    Ok(of_key
        .map(|failed| (failed["reason"].clone(), json!(text(&failed["record"]["value"]))))
        .collect())
}

async fn reaches_failure_queue(fixture: &Fixture, key: &str, expected: (&str, &str)) -> Result {
    eventually("the record is in the failure queue", async || {
        ensure_eq!(
            given_up(fixture, key).await?,
            [(json!(expected.0), json!(expected.1))]
        );
        Ok(())
    })
    .await
}

async fn refused_record_goes_to_the_failure_queue_and_its_partition_moves_on(
    fixture: Arc<Fixture>,
) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    let refused = message("refuse_once", &format!("{mark}-1"));
    let bodies = [
        message("succeed", &format!("{mark}-0")),
        refused.clone(),
        message("succeed", &format!("{mark}-2")),
    ];
    send(&fixture, &mark, &bodies).await?;
    journal.shows(&mark, &names(&mark, [0, 2])).await?;
    reaches_failure_queue(&fixture, &mark, ("internal", &refused)).await?;
    ensure_eq!(
        journal.lines(&format!("{mark}-1")).len(),
        1,
        "tries of the refused one"
    );
    Ok(())
}

async fn unreadable_record_goes_to_the_failure_queue_as_it_was(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    let bodies = ["{\"behaviour\": ".to_owned(), message("succeed", &mark)];
    send(&fixture, &mark, &bodies).await?;
    journal.shows(&mark, std::slice::from_ref(&mark)).await?;
    reaches_failure_queue(&fixture, &mark, ("unreadable", "{\"behaviour\": ")).await
}

async fn given_up_record_is_done_when_it_is_redriven(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    send(&fixture, &mark, &[message("refuse_once", &mark)]).await?;
    eventually("the record is in the failure queue", async || {
        ensure!(given_up(&fixture, &mark).await?.len() == 1, "it isn't");
        Ok(())
    })
    .await?;
    fixture.cloud.redrive("records-failed").await?;
    journal.shows(&mark, std::slice::from_ref(&mark)).await
}

async fn records_of_a_killed_function_come_again_in_order(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    let bodies: Vec<String> = (0..5)
        .map(|number| {
            let behaviour = if number == 2 { "hang_once" } else { "succeed" };
            message(behaviour, &format!("{mark}-{number}"))
        })
        .collect();
    send(&fixture, &mark, &bodies).await?;
    let hanging = format!("{mark}-2 begun");
    eventually("a record hangs", async || {
        ensure!(journal.lines(&hanging).len() == 1, "{:?}", journal.lines(&mark));
        Ok(())
    })
    .await?;
    ensure!(fixture.cloud.kill(CONSUMER).await? > 0, "nothing was killed");
    eventually("every record is done", async || {
        let done = journal.done(&mark);
        let last = done.last().context("none is done")?;
        ensure!(*last == format!("{mark}-4"), "{done:?}");
        Ok(())
    })
    .await?;
    // At least once: what was done before the kill may be done again, and nothing is left out or overtaken.
    let mut done = journal.done(&mark);
    let first_two = done.iter().position(|name| *name == format!("{mark}-2"));
    let (before, after) = done.split_at_mut(first_two.context("the one that hung isn't done")?);
    ensure_eq!(after, names(&mark, 2..5));
    before.sort();
    ensure!(before.starts_with(&names(&mark, 0..1)), "{before:?}");
    Ok(())
}

async fn topic_failures_are_reported_by_partition_and_offset(fixture: Arc<Fixture>) -> Result {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mark = mark();
    let record = |offset: i64, behaviour: &str| {
        let value = STANDARD.encode(message(behaviour, &format!("{mark}-{offset}")));
        json!({ "topic": TOPIC, "partition": 0, "offset": offset, "timestamp": 1_700_000_000_000_i64,
                "timestampType": "CREATE_TIME", "value": value, "headers": [] })
    };
    let event = json!({ "eventSource": "SelfManagedKafka", "bootstrapServers": "broker:9096", "records": {
        "probe.records-0": [record(7, "succeed"), record(8, "fail"), record(9, "succeed")],
        "probe.records-1": [record(3, "succeed")],
    } });
    let result = fixture.cloud.invoke(CONSUMER, event).await?;
    let failure = json!({ "itemIdentifier": { "partition": "probe.records-0", "offset": 8 } });
    ensure_eq!(result.payload, json!({ "batchItemFailures": [failure] }));
    Ok(())
}
