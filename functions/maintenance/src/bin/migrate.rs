//! Invoked by each deployment, and by the local cloud at start: applies the migrations that are missing.

use std::process::ExitCode;

use maintenance::Error;
use maintenance::migrations::{Migrations, Report};
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use serde::Deserialize;

/// Nothing to choose.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct Migrate(Migrations);

impl Job for Migrate {
    type Input = NoInput;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Migrations::read(environment).map(Self)
    }

    async fn run(&self, _: NoInput, _: Deadline) -> Result<Report, Error> {
        self.0.apply().await
    }
}

fn main() -> ExitCode {
    schedule::serve::<Migrate>()
}
