//! Schedules: every 5 minutes the flows whose look-up is due, every day all that the broker has.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use trading::Error;
use trading::reconciliation::{ReconcileInput, Reconciler, Report};

struct ReconcileTrading;

impl Job for ReconcileTrading {
    type UseCase = Reconciler;
    type Input = ReconcileInput;
    type Report = Report;
    type Error = Error;

    async fn run(
        reconciler: &Reconciler,
        input: ReconcileInput,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        reconciler.run(input.scope, deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcileTrading>()
}
