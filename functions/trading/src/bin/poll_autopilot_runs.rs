//! Schedule, every minute: one message per account whose autopilot run has not ended.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};
use trading::Error;
use trading::rebalancing::due::{Report, RunPolls};

struct PollAutopilotRuns;

impl Job for PollAutopilotRuns {
    type UseCase = RunPolls;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(use_case: &RunPolls, input: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        use_case.run(input).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<PollAutopilotRuns>()
}
