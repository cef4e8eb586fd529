//! What the demonstration claims, checked as it goes.

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, eventually, topic_messages};
use local_cloud::progress::say;
use rust_decimal::Decimal;
use serde_json::Value;

/// The claims so far.
#[derive(Default)]
pub(crate) struct Checks {
    true_claims: usize,
    false_claims: Vec<String>,
}

impl Checks {
    /// Prints a claim and whether it holds.
    pub(crate) fn that(&mut self, claim: &str, holds: bool) {
        if holds {
            self.true_claims += 1;
            say(format_args!("   ✓ {claim}"));
        } else {
            self.false_claims.push(claim.to_owned());
            say(format_args!("   ✗ {claim}"));
        }
    }

    /// Prints how it ended; true when every claim held.
    pub(crate) fn conclude(self, took: &str) -> bool {
        if self.false_claims.is_empty() {
            say(format_args!("\nAll {} checks hold ({took}).", self.true_claims));
            return true;
        }
        say(format_args!(
            "\n{} of {} checks do not hold:",
            self.false_claims.len(),
            self.false_claims.len() + self.true_claims
        ));
        for claim in &self.false_claims {
            say(format_args!("  ✗ {claim}"));
        }
        false
    }
}

/// Waits until a condition holds; false when it doesn't in time.
pub(crate) async fn until(condition: impl AsyncFn() -> Result<bool>) -> bool {
    let holds = eventually("a check comes true", async || {
        ensure!(condition().await?, "not yet");
        Ok(())
    });
    holds.await.is_ok()
}

/// The events that a topic has, in the order of each key.
pub(crate) async fn events(fixture: &Fixture, topic: &str) -> Result<Vec<Value>> {
    let messages = topic_messages(fixture.cloud.kafka_brokers(), topic).await?;
    Ok(messages.into_iter().map(|message| message.payload).collect())
}

/// Waits until a topic has an event whose data has this number in a field.
pub(crate) async fn event_about(fixture: &Fixture, topic: &str, field: &str, id: i64) -> Result<Value> {
    eventually(&format!("{topic} has an event with {field} {id}"), async || {
        let events = events(fixture, topic).await?;
        let mut found = events.into_iter().filter(|event| event["data"][field] == id);
        found.next().context("it has none")
    })
    .await
}

/// Whether a target is the actual share, which the broker cuts off at four decimals.
pub(crate) fn is_followed(target: &Value, actual: &Value) -> bool {
    let read = |value: &Value| value.to_string().trim_matches('"').parse::<Decimal>().ok();
    let apart = read(target)
        .zip(read(actual))
        .map(|(target, actual)| target - actual);
    apart.is_some_and(|apart| apart.abs() <= Decimal::new(1, 4))
}

/// A text of something that may not be there.
pub(crate) fn shown<'a>(item: Option<&'a Value>, field: &str) -> &'a str {
    item.and_then(|item| item[field].as_str()).unwrap_or_default()
}

/// Prints a text that the system wrote.
pub(crate) fn quote(item: Option<&Value>, field: &str) {
    say(format_args!("     (\"{}\")", shown(item, field)));
}
