//! Schedule, every minute: active accounts whose record or rules lag behind their live state.

use std::process::ExitCode;

use funded_accounts::Error;
use funded_accounts::sweep::{Report, Sweep};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct SweepFundedAccounts;

impl Job for SweepFundedAccounts {
    type UseCase = Sweep;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(sweep: &Sweep, _: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        sweep.run().await
    }
}

fn main() -> ExitCode {
    schedule::serve::<SweepFundedAccounts>()
}
