//! A schedule: deletes records that have done their work.

use std::process::ExitCode;

use maintenance::Error;
use maintenance::pruning::{Pruning, Report};
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use serde::Deserialize;

/// Nothing to choose.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct PruneRecords(Pruning);

impl Job for PruneRecords {
    type Input = NoInput;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Pruning::read(environment).map(Self)
    }

    async fn run(&self, _: NoInput, _: Deadline) -> Result<Report, Error> {
        self.0.run().await
    }
}

fn main() -> ExitCode {
    schedule::serve::<PruneRecords>()
}
