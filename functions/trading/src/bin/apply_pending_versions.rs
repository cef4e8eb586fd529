//! Schedule, 09:25 New York on trading days: one message per account with pending collection versions.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};
use trading::Error;
use trading::rebalancing::due::{DueVersions, Report};

struct ApplyPendingVersions;

impl Job for ApplyPendingVersions {
    type UseCase = DueVersions;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(use_case: &DueVersions, input: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        use_case.run(input).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ApplyPendingVersions>()
}
