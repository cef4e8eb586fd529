//! Daily: looks up charges whose outcome is unknown, and compares our record with Stripe's.

use std::process::ExitCode;

use commissions::Error;
use commissions::reconciliation::{Reconciler, ReconciliationReport};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct ReconcileBilling;

impl Job for ReconcileBilling {
    type UseCase = Reconciler;
    type Input = ScheduledRun;
    type Report = ReconciliationReport;
    type Error = Error;

    async fn run(
        reconciler: &Reconciler,
        run: ScheduledRun,
        deadline: Deadline,
    ) -> Result<ReconciliationReport, Error> {
        reconciler.run(run, deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcileBilling>()
}
