//! A schedule: deletes records that have done their work.

use std::process::ExitCode;

use maintenance::Error;
use maintenance::pruning::{Pruning, Report};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use platform::http::Nothing;

struct PruneRecords;

impl Job for PruneRecords {
    type UseCase = Pruning;
    type Input = Nothing;
    type Report = Report;
    type Error = Error;

    async fn run(pruning: &Pruning, _: Nothing, deadline: Deadline) -> Result<Report, Error> {
        pruning.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<PruneRecords>()
}
