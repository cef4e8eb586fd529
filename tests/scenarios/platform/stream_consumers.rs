//! What a table's event source and the entry point for streams do with a consumer that fails.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::io::Write as _;
use std::sync::Arc;

use anyhow::ensure;
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};

use crate::queue_consumers::{Journal, mark, message};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        changes_of_an_item_are_done_in_order_past_a_failure,
        failing_item_does_not_hold_up_the_lanes_of_others,
        by_hand(change_is_handed_out_when_it_is_written),
    ]
}

async fn put(fixture: &Fixture, item: &str, body: String) -> Result {
    let table = fixture.cloud.table("items")?;
    let put = fixture.cloud.dynamodb().put_item().table_name(table);
    put.item("pk", AttributeValue::S(item.to_owned()))
        .item("message", AttributeValue::S(body))
        .send()
        .await?;
    Ok(())
}

async fn changes_of_an_item_are_done_in_order_past_a_failure(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let marks = [mark(), mark(), mark()];
    for number in 0..6 {
        for (position, mark) in marks.iter().enumerate() {
            let behaviour = if (position, number) == (1, 2) {
                "fail_once"
            } else {
                "succeed"
            };
            put(&fixture, mark, message(behaviour, &format!("{mark}-{number}"))).await?;
        }
    }
    for mark in &marks {
        let expected: Vec<String> = (0..6).map(|number| format!("{mark}-{number}")).collect();
        journal.shows(mark, &expected).await?;
    }
    Ok(())
}

/// Of four lanes one has the item that fails; of thirty others, most are in other lanes.
async fn failing_item_does_not_hold_up_the_lanes_of_others(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let (failing, others) = (mark(), mark());
    put(&fixture, &failing, message("fail", &failing)).await?;
    for number in 0..30 {
        let name = format!("{others}-{number}");
        put(&fixture, &name, message("succeed", &name)).await?;
    }
    eventually("all others are done", async || {
        ensure_eq!(journal.done(&others).len(), 30);
        Ok(())
    })
    .await?;
    // Once, and three times more, not counting tries in a batch with others, which is halved first; then its position is
    // told to the failure queue.
    eventually("the failing one is given up", async || {
        let told = fixture.waiting_in("items-failed").await?;
        let is_told = told.iter().any(|told| {
            told["requestContext"]["condition"] == "RetryAttemptsExhausted"
                && told["DDBStreamBatchInfo"]["batchSize"] == 1
        });
        ensure!(is_told, "{told:?}");
        ensure!(
            journal.lines(&failing).len() >= 4,
            "{:?}",
            journal.lines(&failing)
        );
        Ok(())
    })
    .await
}

/// How long a change takes from being written to being done; each is written when the one before is done.
async fn change_is_handed_out_when_it_is_written(fixture: Arc<Fixture>) -> Result {
    const ROUNDS: usize = 40;
    let journal = Journal::open()?;
    let mark = mark();
    put(&fixture, &mark, message("succeed", &format!("{mark}-first"))).await?;
    journal.shows(&mark, &[format!("{mark}-first")]).await?;
    let begun = std::time::Instant::now();
    for number in 0..ROUNDS {
        let name = format!("{mark}-{number}");
        put(&fixture, &mark, message("succeed", &name)).await?;
        while journal.done(&name).is_empty() {
            ensure!(begun.elapsed().as_secs() < 30, "{name} isn't done");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    let each = begun.elapsed() / u32::try_from(ROUNDS)?;
    let _ = writeln!(
        std::io::stdout(),
        "  a change is done {each:.1?} after it began to be written"
    );
    Ok(())
}
