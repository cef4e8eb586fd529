//! Invoked by each deployment, and by the local cloud at start: applies the migrations that are missing.

use std::process::ExitCode;

use maintenance::Error;
use maintenance::migration::{Migrations, Report};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use platform::http::Nothing;

struct Migrate;

impl Job for Migrate {
    type UseCase = Migrations;
    type Input = Nothing;
    type Report = Report;
    type Error = Error;

    async fn run(migrations: &Migrations, _: Nothing, _: Deadline) -> Result<Report, Error> {
        migrations.apply().await
    }
}

fn main() -> ExitCode {
    schedule::serve::<Migrate>()
}
