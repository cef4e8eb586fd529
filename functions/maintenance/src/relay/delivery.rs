//! One destination's share of a run: what failed before and is due again, then what waits, chunk by chunk.

use std::time::Duration;

use futures::future::join;
use platform::clock::ClockHandle;
use platform::deadline::Deadline;
use sqlx::PgConnection;
use tokio::sync::Mutex;

use super::chunk::Verdict;
use super::destination::Destination;
use super::message::{Message, Outcome, Sending};
use super::publisher::Publisher;
use super::report::Report;
use super::store;
use crate::Error;

/// A chunk is begun only while more than this is left of the run's time.
const MIN_TIME_LEFT: Duration = Duration::from_secs(15);
/// The part of it that sending leaves for recording its outcome.
const RECORDING_TIME: Duration = Duration::from_secs(4);
/// Chunks of a pass; between two passes it is the held keys' turn.
const MAX_CHUNKS_OF_PASS: usize = 20;

/// Publishes what waits for one destination.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub(super) destination: Destination,
    /// Shared by the destinations, and never held while something is sent.
    pub(super) connection: &'a Mutex<PgConnection>,
    pub(super) publisher: &'a Publisher,
    pub(super) clock: &'a ClockHandle,
    pub(super) deadline: Deadline,
}

/// How a step left things.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There may be more.
    Continue,
    /// Nothing was there to send.
    Idle,
    /// The destination is out of reach.
    OutOfReach,
}

impl Delivery<'_> {
    pub(super) async fn run(self) -> Result<Report, Error> {
        let mut report = Report::default();
        loop {
            if !self.lock().await? {
                report.left_to_another = true;
                return Ok(report);
            }
            let outcome = self.publish_all(&mut report).await;
            self.unlock().await?;
            // Whoever wrote to the outbox meanwhile may have woken a relay that found this one at work.
            let is_over = outcome? || report.unfinished;
            if is_over || !self.is_anything_due().await? {
                return Ok(report);
            }
        }
    }

    /// Publishes until nothing is due; `true` when the destination is out of reach.
    async fn publish_all(&self, report: &mut Report) -> Result<bool, Error> {
        loop {
            if self.is_late() {
                report.unfinished = true;
                return Ok(false);
            }
            let retried = self.retry_held(report).await?;
            if retried == Step::OutOfReach {
                return Ok(true);
            }
            match (retried, self.pass(report).await?) {
                (_, Step::OutOfReach) => return Ok(true),
                (Step::Idle, Step::Idle) => return Ok(false),
                _ => {}
            }
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.left() <= MIN_TIME_LEFT
    }

    /// Goes through what waits, chunk by chunk, up to the newest that there is now. While a chunk is sent, the one before
    /// it is recorded and the next one read.
    ///
    /// The upper end keeps the order. A row may become visible in the middle of the pass, before an older one of another
    /// key; but whatever has an id up to the end was written after everything older of its own key was committed. So no
    /// chunk can miss a row that comes before one it reads.
    async fn pass(&self, report: &mut Report) -> Result<Step, Error> {
        let Some(newest) = self.newest().await? else {
            return Ok(Step::Idle);
        };
        let mut chunk = self.read(0, newest).await?;
        let mut unrecorded = None;
        for _ in 0..MAX_CHUNKS_OF_PASS {
            let Some(position) = chunk.last().map(|message| message.id).filter(|_| !self.is_late()) else {
                break;
            };
            let meanwhile = self.record_and_read(unrecorded.take(), position, newest);
            let (verdict, next) = join(self.send(chunk, Sending::InOrder, report), meanwhile).await;
            chunk = next?;
            if verdict.is_incomplete || verdict.out_of_reach.is_some() {
                return self.record(&verdict).await;
            }
            for message in &mut chunk {
                message.is_held |= verdict.held_keys.contains_key(&message.ordering_key);
            }
            unrecorded = Some(verdict);
        }
        if let Some(verdict) = unrecorded {
            self.record(&verdict).await?;
        }
        Ok(Step::Continue)
    }

    async fn record_and_read(
        &self,
        verdict: Option<Verdict>,
        position: i64,
        newest: i64,
    ) -> Result<Vec<Message>, Error> {
        if let Some(verdict) = verdict {
            self.record(&verdict).await?;
        }
        self.read(position, newest).await
    }

    async fn newest(&self) -> Result<Option<i64>, Error> {
        let mut connection = self.connection.lock().await;
        store::newest_waiting(&mut connection, &self.destination).await
    }

    async fn read(&self, position: i64, newest: i64) -> Result<Vec<Message>, Error> {
        let mut connection = self.connection.lock().await;
        store::waiting(&mut connection, &self.destination, position, newest).await
    }

    /// Sends what is due of the held keys: the oldest message of one that failed, by itself; a run of one that got through.
    async fn retry_held(&self, report: &mut Report) -> Result<Step, Error> {
        let due = self.due_of_held_keys().await?;
        if due.is_empty() {
            return Ok(Step::Idle);
        }
        let (failed, following): (Vec<_>, Vec<_>) = due.into_iter().partition(|due| due.has_failed);
        for (part, sending) in [(failed, Sending::Apart), (following, Sending::InOrder)] {
            if part.is_empty() {
                continue;
            }
            let messages: Vec<_> = part.into_iter().map(|due| due.message).collect();
            let verdict = self.send(messages, sending, report).await;
            if self.record_retried(&verdict).await? == Step::OutOfReach {
                return Ok(Step::OutOfReach);
            }
        }
        Ok(Step::Continue)
    }

    async fn due_of_held_keys(&self) -> Result<Vec<store::DueOfHeldKey>, Error> {
        let mut connection = self.connection.lock().await;
        let (destination, now) = (&self.destination, self.clock.now());
        let due = store::due_of_held_keys(&mut connection, destination, now).await?;
        if due.is_empty() {
            // A key whose messages somebody deleted would be due for ever.
            store::release(&mut connection, destination, now, &[]).await?;
        }
        Ok(due)
    }

    async fn send(&self, chunk: Vec<Message>, sending: Sending, report: &mut Report) -> Verdict {
        let until = self.deadline.earlier_by(RECORDING_TIME).instant();
        let (held, chunk): (Vec<_>, Vec<_>) = chunk.into_iter().partition(|message| message.is_held);
        let mut outcomes = self
            .publisher
            .publish(&self.destination, chunk, sending, until)
            .await;
        outcomes.extend(held.into_iter().map(|message| (message, Outcome::NotTried)));
        let verdict = Verdict::of(&outcomes);
        self.log_failures(&outcomes, &verdict);
        report.published += verdict.published.len();
        report.failed += verdict.failed;
        verdict
    }

    async fn record(&self, verdict: &Verdict) -> Result<Step, Error> {
        let mut connection = self.connection.lock().await;
        let (destination, now) = (&self.destination, self.clock.now());
        store::record_published(&mut connection, destination, now, &verdict.published).await?;
        self.record_failures(&mut connection, verdict).await
    }

    /// As [`record`](Self::record), and keys whose messages got through may go on.
    async fn record_retried(&self, verdict: &Verdict) -> Result<Step, Error> {
        let mut connection = self.connection.lock().await;
        let (destination, now) = (&self.destination, self.clock.now());
        store::record_published(&mut connection, destination, now, &verdict.published).await?;
        store::release(&mut connection, destination, now, &verdict.published).await?;
        self.record_failures(&mut connection, verdict).await
    }

    async fn record_failures(&self, connection: &mut PgConnection, verdict: &Verdict) -> Result<Step, Error> {
        let (destination, now) = (&self.destination, self.clock.now());
        store::hold_keys(connection, destination, now, verdict).await?;
        let Some(reason) = &verdict.out_of_reach else {
            return Ok(Step::Continue);
        };
        store::hold_destination(connection, destination, now, reason).await?;
        Ok(Step::OutOfReach)
    }

    fn log_failures(&self, outcomes: &[(Message, Outcome)], verdict: &Verdict) {
        let destination = self.destination.name.as_str();
        if let Some(reason) = &verdict.out_of_reach {
            tracing::error!(
                destination,
                reason,
                failed = verdict.failed,
                "the destination is out of reach"
            );
        }
        for (message, outcome) in outcomes {
            let reason = match outcome {
                Outcome::Refused(reason) => reason,
                Outcome::Unreachable(reason) if verdict.out_of_reach.is_none() => reason,
                _ => continue,
            };
            tracing::error!(
                outbox_message_id = message.id,
                event_id = %message.event_id,
                destination,
                correlation_id = message.correlation_id,
                reason,
                "publishing the message failed"
            );
        }
    }

    async fn lock(&self) -> Result<bool, Error> {
        store::lock(&mut *self.connection.lock().await, &self.destination).await
    }

    async fn unlock(&self) -> Result<(), Error> {
        store::unlock(&mut *self.connection.lock().await, &self.destination).await
    }

    async fn is_anything_due(&self) -> Result<bool, Error> {
        let mut connection = self.connection.lock().await;
        store::is_anything_due(&mut connection, &self.destination, self.clock.now()).await
    }
}
