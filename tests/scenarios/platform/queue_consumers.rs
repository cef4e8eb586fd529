//! What the entry point for queues does with a consumer that fails, panics, hangs or is killed, over the real runtime
//! API and real queues.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, root, scenarios, sqs_event};
use local_cloud::Options;
use serde_json::{Value, json};
use uuid::Uuid;

const CONSUMER: &str = "probe_consumer";

/// Where the consumer writes what it does.
static JOURNAL: OnceLock<PathBuf> = OnceLock::new();

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        // Alone, so that no other scenario takes the process that has panicked.
        alone(batch_of_ten_reports_exactly_the_three_that_failed),
        seven_of_ten_are_done_once_and_three_are_dead,
        message_that_failed_once_comes_again_and_is_done,
        group_keeps_its_order_past_a_failure,
        poison_message_holds_up_its_group_only_until_it_is_dead,
        alone(messages_of_a_killed_function_come_again),
        alone(hanging_message_is_given_back_at_the_deadline),
    ]
}

/// A system of the probes alone, with their journal in a folder.
pub(crate) fn options(folder: &Path) -> Options {
    let journal = JOURNAL.get_or_init(|| folder.join("journal"));
    let mut options = Options {
        template: root().join("tests/scenarios/platform/probe.yaml"),
        ..end_to_end::options()
    };
    options
        .environment
        .insert("JOURNAL".to_owned(), journal.display().to_string());
    options
}

/// What the consumer has written.
pub(crate) struct Journal(&'static Path);

impl Journal {
    pub(crate) fn open() -> Result<Self> {
        let path = JOURNAL.get().context("the consumer has no journal")?;
        Ok(Self(path))
    }

    /// The lines about names that begin so, in their order.
    pub(crate) fn lines(&self, prefix: &str) -> Vec<String> {
        let journal = std::fs::read_to_string(self.0).unwrap_or_default();
        let lines = journal.lines().filter(|line| line.starts_with(prefix));
        lines.map(str::to_owned).collect()
    }

    /// The names that begin so and are done, in their order.
    pub(crate) fn done(&self, prefix: &str) -> Vec<String> {
        let lines = self.lines(prefix);
        lines
            .iter()
            .filter_map(|line| line.strip_suffix(" done"))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) async fn shows(&self, prefix: &str, expected: &[String]) -> Result {
        eventually("the journal shows it", async || {
            ensure_eq!(self.done(prefix), expected, "{:?}", self.lines(prefix));
            Ok(())
        })
        .await
    }
}

/// A beginning for the names of one scenario.
pub(crate) fn mark() -> String {
    Uuid::now_v7().simple().to_string()
}

pub(crate) fn message(behaviour: &str, name: &str) -> String {
    json!({ "behaviour": behaviour, "name": name }).to_string()
}

/// Ten bodies, of which the third isn't JSON, the fifth has another shape and the eighth panics.
fn ten(mark: &str) -> Vec<String> {
    let body = |index| match index {
        2 => "{\"behaviour\": \"succeed\"".to_owned(),
        4 => json!({ "behaviour": "succeed", "nom": mark }).to_string(),
        7 => message("panic", &format!("{mark}-7")),
        index => message("succeed", &format!("{mark}-{index}")),
    };
    (0..10).map(body).collect()
}

async fn batch_of_ten_reports_exactly_the_three_that_failed(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    let result = fixture
        .cloud
        .invoke(CONSUMER, sqs_event("jobs", &ten(&mark)))
        .await?;
    let expected = json!({ "batchItemFailures": [
        { "itemIdentifier": "2" }, { "itemIdentifier": "4" }, { "itemIdentifier": "7" },
    ] });
    ensure_eq!(result.payload, expected);
    let done: Vec<String> = [0, 1, 3, 5, 6, 8, 9]
        .map(|index| format!("{mark}-{index}"))
        .to_vec();
    ensure_eq!(journal.done(&mark), done);
    // The process that panicked lives on.
    let result = fixture
        .cloud
        .invoke(CONSUMER, sqs_event("jobs", &[message("succeed", &mark)]))
        .await?;
    ensure_eq!(
        (result.cold, &result.payload),
        (false, &json!({ "batchItemFailures": [] }))
    );
    Ok(())
}

async fn seven_of_ten_are_done_once_and_three_are_dead(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    let bodies = ten(&mark);
    fixture.cloud.pause_event_source("jobs", true).await?;
    for body in &bodies {
        fixture.send("jobs", body).await?;
    }
    fixture.cloud.pause_event_source("jobs", false).await?;
    fixture.queue_reaches("jobs-dead", 3).await?;
    fixture.queue_reaches("jobs", 0).await?;
    let mut done = journal.done(&mark);
    done.sort();
    let expected: Vec<String> = [0, 1, 3, 5, 6, 8, 9]
        .map(|index| format!("{mark}-{index}"))
        .to_vec();
    ensure_eq!(done, expected);
    ensure_eq!(
        journal.lines(&format!("{mark}-7")).len(),
        3,
        "tries of the one that panics"
    );
    let mut dead = fixture.waiting_in("jobs-dead").await?;
    dead.sort_by_key(Value::to_string);
    let mut expected: Vec<Value> = [2_usize, 4, 7]
        .iter()
        .filter_map(|index| bodies.get(*index))
        .map(|body| serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
        .collect();
    expected.sort_by_key(Value::to_string);
    ensure_eq!(dead, expected);
    Ok(())
}

async fn message_that_failed_once_comes_again_and_is_done(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    fixture.send("jobs", &message("fail_once", &mark)).await?;
    journal.shows(&mark, std::slice::from_ref(&mark)).await?;
    ensure_eq!(journal.lines(&mark).len(), 3, "begun twice, done once");
    Ok(())
}

async fn group_keeps_its_order_past_a_failure(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let marks = [mark(), mark(), mark()];
    for index in 0..6 {
        for (group, mark) in marks.iter().enumerate() {
            let behaviour = if index == 1 && group == 0 {
                "fail_once"
            } else {
                "succeed"
            };
            let body = message(behaviour, &format!("{mark}-{index}"));
            fixture.send_in_group("orders", mark, &body).await?;
        }
    }
    for mark in &marks {
        let in_order: Vec<String> = (0..6).map(|index| format!("{mark}-{index}")).collect();
        journal.shows(mark, &in_order).await?;
    }
    fixture.queue_reaches("orders", 0).await
}

async fn poison_message_holds_up_its_group_only_until_it_is_dead(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let (poisoned, sound) = (mark(), mark());
    for (index, behaviour) in ["succeed", "fail", "succeed"].iter().enumerate() {
        let body = message(behaviour, &format!("{poisoned}-{index}"));
        fixture.send_in_group("orders", &poisoned, &body).await?;
        let body = message("succeed", &format!("{sound}-{index}"));
        fixture.send_in_group("orders", &sound, &body).await?;
    }
    let all: Vec<String> = (0..3).map(|index| format!("{sound}-{index}")).collect();
    journal.shows(&sound, &all).await?;
    let others: Vec<String> = [0, 2].iter().map(|index| format!("{poisoned}-{index}")).collect();
    journal.shows(&poisoned, &others).await?;
    // What follows the poison waits until it is out of the way, and is done only then.
    let lines = journal.lines(&poisoned);
    let last_try = lines
        .iter()
        .rposition(|line| *line == format!("{poisoned}-1 begun"));
    let after = lines
        .iter()
        .position(|line| *line == format!("{poisoned}-2 done"));
    ensure!(last_try.is_some() && last_try < after, "the order was {lines:?}");
    fixture.queue_reaches("orders-dead", 1).await
}

async fn messages_of_a_killed_function_come_again(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    fixture.send("jobs", &message("hang_once", &mark)).await?;
    eventually("the message is being worked on", async || {
        ensure!(journal.lines(&mark).len() == 1, "{:?}", journal.lines(&mark));
        Ok(())
    })
    .await?;
    ensure!(fixture.cloud.kill(CONSUMER).await? > 0, "nothing was killed");
    journal.shows(&mark, std::slice::from_ref(&mark)).await?;
    ensure_eq!(journal.lines(&mark).len(), 3, "begun twice, done once");
    fixture.queue_reaches("jobs", 0).await
}

async fn hanging_message_is_given_back_at_the_deadline(fixture: Arc<Fixture>) -> Result {
    let journal = Journal::open()?;
    let mark = mark();
    let (slow, quick) = (format!("{mark}-slow"), format!("{mark}-quick"));
    let batch = [message("succeed", &quick), message("hang_once", &slow)];
    let result = fixture.cloud.invoke(CONSUMER, sqs_event("jobs", &batch)).await?;
    // Before the runtime would have killed the process, and with it the answer about the others.
    ensure_eq!(end_to_end::failed_items(&result)?, [1]);
    ensure_eq!(journal.done(&mark), [quick]);
    Ok(())
}
