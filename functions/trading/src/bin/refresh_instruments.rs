//! Schedule, daily: DriveWealth's instruments.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};
use trading::Error;
use trading::instrument::{InstrumentRefresh, Report};

struct RefreshInstruments;

impl Job for RefreshInstruments {
    type UseCase = InstrumentRefresh;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(use_case: &InstrumentRefresh, _: ScheduledRun, deadline: Deadline) -> Result<Report, Error> {
        use_case.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<RefreshInstruments>()
}
