//! Records that have an order, of a stream or a topic, on their way to a function: in batches, one after the other, tried
//! again until they succeed or are given up, as Lambda does.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    Context,
    outcome::{self, Failures},
};
use crate::template::RecordRules;

const MAX_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// What kind of records they are: a stream's or a topic's.
pub(super) trait Kind: Send + Sync + 'static {
    /// By which the function names a record that failed.
    fn id(&self, record: &Value) -> String;
    /// The event that a function is given.
    fn event(&self, records: &[Value]) -> Value;
    /// When it was written, as far as it says so.
    fn written_at(&self, record: &Value) -> Option<DateTime<Utc>>;
    /// Where the records stand, for the failure queue: the name of that part and the part.
    fn position(&self, records: &[Value]) -> (&'static str, Value);
}

/// A record with its place in what it is read from.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) place: u64,
    pub(super) record: Value,
}

/// Gives records to a function.
pub(super) struct Batches<K> {
    pub(super) context: Arc<Context>,
    pub(super) function: String,
    /// The table or topic, for the log.
    pub(super) source: String,
    pub(super) rules: RecordRules,
    pub(super) kind: K,
}

/// Records that go to the function together.
#[derive(Clone, Debug, PartialEq)]
struct Batch {
    records: Vec<Value>,
    /// How often it has failed.
    failures: u32,
}

/// The fate of a batch after an invocation.
#[derive(Debug, PartialEq)]
enum Step {
    Done,
    /// These batches come next, in this order.
    Again(Vec<Batch>),
    Discard(Batch),
}

impl<K: Kind> Batches<K> {
    /// Takes records until there are no more, and says which places are done with.
    pub(super) async fn run(&self, mut records: mpsc::Receiver<Placed>, done: impl Fn(&[u64])) {
        while let Some(first) = records.recv().await {
            let batch = self.fill(first, &mut records).await;
            let places: Vec<u64> = batch.iter().map(|placed| placed.place).collect();
            self.deliver(batch.into_iter().map(|placed| placed.record).collect())
                .await;
            done(&places);
        }
    }

    /// What is there already, and what comes as long as the batching window lets it.
    async fn fill(&self, first: Placed, records: &mut mpsc::Receiver<Placed>) -> Vec<Placed> {
        let end = Instant::now() + self.rules.batching_window;
        let mut batch = vec![first];
        while batch.len() < self.rules.batch_size {
            let next = match records.try_recv() {
                Ok(next) => Some(next),
                Err(_) => timeout_at(end, records.recv()).await.ok().flatten(),
            };
            let Some(next) = next else { break };
            batch.push(next);
        }
        batch
    }

    async fn deliver(&self, records: Vec<Value>) {
        let mut batches = VecDeque::from([Batch { records, failures: 0 }]);
        while let Some(batch) = batches.pop_front() {
            let ids: Vec<String> = batch.records.iter().map(|record| self.kind.id(record)).collect();
            let event = self.kind.event(&batch.records);
            let result = self.context.invoke(&self.function, &event).await;
            let failures = outcome::read(&result, &ids, self.rules.partial_responses);
            if let Failures::All(reason) = &failures {
                tracing::warn!(
                    source = self.source,
                    function = self.function,
                    "a batch failed: {reason}"
                );
            }
            let is_too_old = self.is_too_old(&batch);
            match next_step(batch, &ids, &failures, &self.rules, is_too_old) {
                Step::Done => {}
                Step::Again(again) => {
                    let attempts = again.first().map_or(0, |batch| batch.failures);
                    for batch in again.into_iter().rev() {
                        batches.push_front(batch);
                    }
                    tokio::time::sleep(self.pause(attempts)).await;
                }
                Step::Discard(batch) => self.discard(&batch, is_too_old).await,
            }
        }
    }

    fn is_too_old(&self, batch: &Batch) -> bool {
        let Some(maximum) = self.rules.maximum_age else {
            return false;
        };
        let oldest = batch
            .records
            .first()
            .and_then(|record| self.kind.written_at(record));
        let age = oldest.and_then(|oldest| (Utc::now() - oldest).to_std().ok());
        age.is_some_and(|age| age > maximum)
    }

    fn pause(&self, failures: u32) -> Duration {
        match self.context.redelivery_after {
            Some(after) => after,
            None => Duration::from_millis(500)
                .saturating_mul(2_u32.saturating_pow(failures))
                .min(MAX_RETRY_PAUSE),
        }
    }

    /// Sends the failure queue the records' position, as Lambda does; the records themselves stay where they were read.
    async fn discard(&self, batch: &Batch, is_too_old: bool) {
        tracing::warn!(
            source = self.source,
            function = self.function,
            "discarding a batch that keeps failing"
        );
        let Some(queue) = &self.rules.failure_queue else {
            return;
        };
        let condition = match is_too_old {
            true => "RecordAgeExceeded",
            false => "RetryAttemptsExhausted",
        };
        let (name, position) = self.kind.position(&batch.records);
        let message = json!({
            "requestContext": {
                "requestId": uuid::Uuid::now_v7().to_string(),
                "functionArn": self.context.arn("lambda", &format!("function:{}", self.function)),
                "condition": condition,
                "approximateInvokeCount": batch.failures,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            name: position,
        });
        if let Err(error) = self.context.queues.send(queue, &message.to_string()).await {
            tracing::warn!("sending the discarded batch to {queue} failed: {error:#}");
        }
    }
}

/// Lambda's rules: what follows the first failed record is tried again with it; a batch that fails as a whole is
/// halved where that is allowed, and discarded after the last retry or at the end of its time.
fn next_step(
    mut batch: Batch,
    ids: &[String],
    failures: &Failures,
    rules: &RecordRules,
    is_too_old: bool,
) -> Step {
    let first_failed = match failures {
        Failures::All(_) => 0,
        Failures::Some(failed) => match ids.iter().position(|id| failed.contains(id)) {
            Some(position) => position,
            None => return Step::Done,
        },
    };
    if first_failed > 0 {
        // Records were done with: the rest is a new batch.
        let records = batch.records.split_off(first_failed);
        return Step::Again(vec![Batch { records, failures: 0 }]);
    }
    if rules.bisect && batch.records.len() > 1 {
        let second = batch.records.split_off(batch.records.len() / 2);
        let failures = batch.failures;
        return Step::Again(vec![
            batch,
            Batch {
                records: second,
                failures,
            },
        ]);
    }
    batch.failures = batch.failures.saturating_add(1);
    match rules.maximum_retries {
        _ if is_too_old => Step::Discard(batch),
        Some(most) if batch.failures > most => Step::Discard(batch),
        _ => Step::Again(vec![batch]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn rules(bisect: bool) -> RecordRules {
        RecordRules {
            batch_size: 10,
            batching_window: Duration::ZERO,
            from_start: true,
            bisect,
            maximum_retries: Some(1),
            maximum_age: None,
            partial_responses: true,
            failure_queue: None,
            enabled: true,
            filters: Vec::new(),
        }
    }

    fn batch(ids: &[&str], failures: u32) -> Batch {
        Batch {
            records: ids.iter().map(|id| json!(id)).collect(),
            failures,
        }
    }

    fn step(batch: Batch, failures: &Failures, bisect: bool, is_too_old: bool) -> Step {
        let id = |record: &Value| record.as_str().unwrap().to_owned();
        let ids: Vec<String> = batch.records.iter().map(id).collect();
        next_step(batch, &ids, failures, &rules(bisect), is_too_old)
    }

    #[test]
    fn records_from_the_first_failed_one_on_are_tried_again() {
        let failed = Failures::Some(BTreeSet::from(["3".to_owned(), "2".to_owned()]));
        assert_eq!(
            step(batch(&["1", "2", "3"], 0), &failed, true, false),
            Step::Again(vec![batch(&["2", "3"], 0)])
        );
        assert_eq!(
            step(batch(&["1"], 0), &Failures::Some(BTreeSet::new()), true, false),
            Step::Done
        );
    }

    #[test]
    fn a_batch_that_fails_is_halved_down_to_the_record_and_then_given_up() {
        let failed = Failures::All("crash".to_owned());
        let halves = vec![batch(&["1"], 0), batch(&["2", "3"], 0)];
        assert_eq!(
            step(batch(&["1", "2", "3"], 0), &failed, true, false),
            Step::Again(halves)
        );
        assert_eq!(
            step(batch(&["1"], 0), &failed, true, false),
            Step::Again(vec![batch(&["1"], 1)])
        );
        assert_eq!(
            step(batch(&["1"], 1), &failed, true, false),
            Step::Discard(batch(&["1"], 2))
        );
        assert_eq!(
            step(batch(&["1", "2"], 1), &failed, false, false),
            Step::Discard(batch(&["1", "2"], 2))
        );
    }

    #[test]
    fn a_record_that_fails_after_its_time_is_given_up_at_once() {
        let failed = Failures::All("crash".to_owned());
        assert_eq!(
            step(batch(&["1"], 0), &failed, true, true),
            Step::Discard(batch(&["1"], 1))
        );
    }
}
