//! Jobs: started by a schedule, by a wake-up on a queue, or by hand.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use domain::lane::Laned;
use futures::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::config::FromEnvironment;
use crate::deadline::Deadline;
use crate::error::chain;
use crate::observability::correlation;
use crate::observability::telemetry;

/// A job. It may run twice and at the same time as another copy of itself.
pub trait Job: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// The input which the schedule's definition carries.
    type Input: DeserializeOwned + Default;
    /// What the job reports.
    type Report: Serialize;
    /// Why the job failed.
    type Error: Laned;

    /// Runs the job; it ends by itself before the deadline.
    fn run(
        use_case: &Self::UseCase,
        input: Self::Input,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Self::Report, Self::Error>>;
}

/// The input of a job that is started by a schedule, which says when the run was due. It executes later: by seconds as a rule,
/// by hours when it was held up or comes again. In the template: `{"scheduled_time":"<aws.scheduler.scheduled-time>"}`.
///
/// Either time has its use, and they aren't compared with each other's: [`due_at`](Self::due_at) says which day a run works
/// for, and [`executed_at`](Self::executed_at) is of the clock that stored times are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledRun {
    /// When the run was due, RFC 3339; missing in a run by hand that means now.
    #[serde(default)]
    pub scheduled_time: Option<DateTime<Utc>>,
}

impl ScheduledRun {
    /// When the run was due: one that comes late, or again, still works for its own day. Times that were stored are never
    /// compared with it: those of the run before are seconds later than its own.
    pub fn due_at(&self, clock: &impl Clock) -> DateTime<Utc> {
        self.scheduled_time.unwrap_or_else(|| clock.now())
    }

    /// When the run executes, by the clock that everything stored is dated from. A run by hand may be told a later time than
    /// it is, and then plays that time.
    pub fn executed_at(&self, clock: &impl Clock) -> DateTime<Utc> {
        self.due_at(clock).max(clock.now())
    }
}

/// Runs the function.
pub fn serve<J: Job>() -> ExitCode {
    super::serve(answer::<J>)
}

async fn answer<J: Job>(use_case: Arc<J::UseCase>, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let deadline = Deadline::of(&event.context);
    let from_queue = event.payload.get("Records").is_some();
    let input = input::<J>(event.payload)?;
    let id = correlation::new();
    let span = telemetry::invocation_span(&event.context.request_id, id.as_ref());
    let work = AssertUnwindSafe(correlation::within(id, J::run(&use_case, input, deadline))).catch_unwind();
    let outcome = tokio::time::timeout_at(deadline.instant(), work)
        .instrument(span.clone())
        .await;
    let _entered = span.enter();
    let report = match outcome {
        Ok(Ok(Ok(report))) => {
            serde_json::to_value(report).map_err(|error| failed("internal", error.to_string()))?
        }
        Ok(Ok(Err(error))) => {
            return Err(failed(error.code(), chain(&error)));
        }
        Ok(Err(_)) => return Err(failed("panicked", "the job panicked".to_owned())),
        Err(_) => return Err(failed("timed-out", "the deadline passed".to_owned())),
    };
    tracing::info!(%report, "finished the job");
    Ok(if from_queue {
        json!({"batchItemFailures": []})
    } else {
        report
    })
}

/// A failed run: its code is Lambda's `errorType`. What is behind it stands in the log alone.
fn failed(code: &'static str, error: String) -> Diagnostic {
    tracing::error!(error, code, "running the job failed");
    Diagnostic {
        error_type: code.to_owned(),
        error_message: format!("the job failed ({code}); the log has the rest"),
    }
}

/// A wake-up on a queue carries nothing; a schedule or a person may give an input.
fn input<J: Job>(payload: Value) -> Result<J::Input, Diagnostic> {
    let empty = payload.is_null() || payload.as_object().is_some_and(serde_json::Map::is_empty);
    if empty || payload.get("Records").is_some() {
        return Ok(J::Input::default());
    }
    serde_path_to_error::deserialize(payload).map_err(|error| Diagnostic {
        error_type: "malformed-input".to_owned(),
        error_message: format!("the input can't be read at {}: {}", error.path(), error.inner()),
    })
}

#[cfg(test)]
mod tests {
    use domain::clock::ManualClock;

    use super::*;

    #[test]
    fn a_run_works_for_the_time_it_was_due_at_and_executes_by_the_clock() {
        let now = "2026-03-03T05:10:00Z".parse().unwrap();
        let clock = ManualClock::new(now);
        let run: ScheduledRun =
            serde_json::from_value(json!({"scheduled_time": "2026-03-02T22:00:00Z"})).unwrap();
        assert_eq!(run.due_at(&clock).to_rfc3339(), "2026-03-02T22:00:00+00:00");
        assert_eq!(run.executed_at(&clock), now);
        clock.set("2026-03-02T21:00:00Z".parse().unwrap());
        assert_eq!(run.executed_at(&clock), run.due_at(&clock));
        clock.set(now);
        assert_eq!(ScheduledRun::default().due_at(&clock), now);
        assert_eq!(ScheduledRun::default().executed_at(&clock), now);
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
