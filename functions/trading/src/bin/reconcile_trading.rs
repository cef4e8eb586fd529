//! Schedules: every 5 minutes the flows whose look-up is due, every day all that the broker has.

use std::process::ExitCode;

use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use serde::Deserialize;
use trading::Error;
use trading::reconcile::{Reconciler, Report, Scope};

/// What to look at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReconcileInput {
    /// `due` or `all`.
    scope: Scope,
}

struct ReconcileTrading(Reconciler);

impl Job for ReconcileTrading {
    type Input = ReconcileInput;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Reconciler::read(environment).map(Self)
    }

    async fn run(&self, input: ReconcileInput, deadline: Deadline) -> Result<Report, Error> {
        self.0.run(input.scope, deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcileTrading>()
}
