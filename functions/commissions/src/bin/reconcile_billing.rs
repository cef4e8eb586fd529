//! Daily: finds out what came of charges in doubt, and holds our record against Stripe's.

use std::process::ExitCode;

use commissions::Error;
use commissions::reconcile::{Reconciler, Report};
use platform::clock::SystemClock;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct ReconcileBilling;

impl Job for ReconcileBilling {
    type UseCase = Reconciler;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(reconciler: &Reconciler, input: ScheduledRun, deadline: Deadline) -> Result<Report, Error> {
        reconciler.run(input.time(&SystemClock), deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcileBilling>()
}
