//! Schedule, every day: withdrawals beside what Stripe has sent.

use std::process::ExitCode;

use funded_accounts::Error;
use funded_accounts::payout_reconciliation::{PayoutReconciliation, Report};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct ReconcilePayouts;

impl Job for ReconcilePayouts {
    type UseCase = PayoutReconciliation;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(
        payouts: &PayoutReconciliation,
        _: ScheduledRun,
        deadline: Deadline,
    ) -> Result<Report, Error> {
        payouts.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcilePayouts>()
}
