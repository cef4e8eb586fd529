//! Daily: makes up for what was left undone with Billing, and compares our record with Billing's.

use std::process::ExitCode;

use dealers::Error;
use dealers::reconciliation::{Reconciler, ReconciliationReport};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct ReconcileDealers;

impl Job for ReconcileDealers {
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
    schedule::serve::<ReconcileDealers>()
}
