//! Jobs: started by a schedule, by a nudge on a queue, or by hand.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use domain::lane::Laned;
use futures::FutureExt;
use lambda_runtime::LambdaEvent;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::config::Environment;
use crate::deadline::Deadline;
use crate::error::chain;
use crate::observability::correlation;
use crate::observability::telemetry;

/// A job. It may run twice and at the same time as another copy of itself.
pub trait Job: Send + Sync + Sized + 'static {
    /// The input which the schedule's definition carries.
    type Input: DeserializeOwned + Default;
    /// What the job reports.
    type Report: Serialize;
    /// Why the job failed.
    type Error: Laned;

    /// Reads the configuration.
    fn configure(environment: &mut Environment) -> Option<Self>;

    /// Runs the job; it ends by itself before the deadline.
    fn run(
        &self,
        input: Self::Input,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Self::Report, Self::Error>>;
}

/// The input of a job whose work belongs to a day: the schedule says when the run was due, so that one that comes late,
/// or again, still works for its own day. In the template: `{"scheduled_time":"<aws.scheduler.scheduled-time>"}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledRun {
    /// When the run was due, RFC 3339; missing in a run by hand that means now.
    #[serde(default)]
    pub scheduled_time: Option<DateTime<Utc>>,
}

impl ScheduledRun {
    /// The time that the run works for.
    pub fn time(&self, clock: &impl Clock) -> DateTime<Utc> {
        self.scheduled_time.unwrap_or_else(|| clock.now())
    }
}

/// Runs the function.
pub fn serve<J: Job>() -> ExitCode {
    super::serve(J::configure, answer::<J>)
}

async fn answer<J: Job>(job: Arc<J>, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
    let deadline = Deadline::of(&event.context);
    let nudged = event.payload.get("Records").is_some();
    let input = input::<J>(event.payload)?;
    let id = correlation::new();
    let span = telemetry::invocation_span(&event.context.request_id, id.as_ref());
    let work = AssertUnwindSafe(correlation::within(id, job.run(input, deadline))).catch_unwind();
    let outcome = tokio::time::timeout_at(deadline.instant(), work)
        .instrument(span.clone())
        .await;
    let _entered = span.enter();
    let report = match outcome {
        Ok(Ok(Ok(report))) => serde_json::to_value(report)?,
        Ok(Ok(Err(error))) => {
            tracing::error!(error = chain(&error), code = error.code(), "the job failed");
            return Err(error.code().into());
        }
        Ok(Err(_)) => return Err(given_up("the job panicked")),
        Err(_) => return Err(given_up("the deadline passed")),
    };
    tracing::info!(%report, "the job is done");
    Ok(if nudged {
        json!({"batchItemFailures": []})
    } else {
        report
    })
}

fn given_up(reason: &'static str) -> lambda_runtime::Error {
    tracing::error!(reason, "the job failed");
    reason.into()
}

/// A nudge carries nothing; a schedule or a person may give an input.
fn input<J: Job>(payload: Value) -> Result<J::Input, lambda_runtime::Error> {
    let empty = payload.is_null() || payload.as_object().is_some_and(serde_json::Map::is_empty);
    if empty || payload.get("Records").is_some() {
        return Ok(J::Input::default());
    }
    serde_path_to_error::deserialize(payload)
        .map_err(|error| format!("the input can't be read at {}: {}", error.path(), error.inner()).into())
}

#[cfg(test)]
mod tests {
    use domain::clock::ManualClock;

    use super::*;

    #[test]
    fn a_run_works_for_the_time_it_was_due_at() {
        let now = "2026-03-03T05:10:00Z".parse().unwrap();
        let clock = ManualClock::new(now);
        let run: ScheduledRun =
            serde_json::from_value(json!({"scheduled_time": "2026-03-02T22:00:00Z"})).unwrap();
        assert_eq!(run.time(&clock).to_rfc3339(), "2026-03-02T22:00:00+00:00");
        assert_eq!(ScheduledRun::default().time(&clock), now);
        let empty: ScheduledRun = serde_json::from_value(json!({})).unwrap();
        assert_eq!(empty, ScheduledRun::default());
        for wrong in [
            json!({"scheduled_tme": "2026-03-02T22:00:00Z"}),
            json!({"scheduled_time": "today"}),
        ] {
            assert!(
                serde_json::from_value::<ScheduledRun>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
    }
}
