//! Queue `outbox-nudges` (wake-ups after a commit) and a schedule: publishes the outbox to Kafka and SQS.

use std::process::ExitCode;

use maintenance::Error;
use maintenance::relay::{Relay, Report};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use platform::http::Nothing;

struct RelayOutbox;

impl Job for RelayOutbox {
    type UseCase = Relay;
    type Input = Nothing;
    type Report = Report;
    type Error = Error;

    async fn run(relay: &Relay, _: Nothing, deadline: Deadline) -> Result<Report, Error> {
        relay.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<RelayOutbox>()
}
