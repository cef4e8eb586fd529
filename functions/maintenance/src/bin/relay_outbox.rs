//! Queue `outbox-nudges` and a schedule: publishes the outbox to Kafka and SQS.

use std::process::ExitCode;

use maintenance::Error;
use maintenance::relay::{Relay, Report};
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use serde::Deserialize;

/// Nothing to choose.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct RelayOutbox(Relay);

impl Job for RelayOutbox {
    type Input = NoInput;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Relay::read(environment).map(Self)
    }

    async fn run(&self, _: NoInput, deadline: Deadline) -> Result<Report, Error> {
        self.0.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<RelayOutbox>()
}
