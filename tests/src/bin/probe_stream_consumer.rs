//! A consumer of a table's stream that behaves as the new items' `message` says.

use std::process::ExitCode;

use end_to_end::probe::{Message, Probe};
use platform::deadline::Deadline;
use platform::entry::stream::{self, Change, StreamConsumer};
use platform::error::PlatformError;
use serde::Deserialize;

#[derive(Deserialize)]
struct Item {
    message: String,
}

struct ProbeStreamConsumer;

impl StreamConsumer for ProbeStreamConsumer {
    type UseCase = Probe;
    type Error = PlatformError;

    async fn handle(probe: &Probe, change: Change, _: Deadline) -> Result<(), PlatformError> {
        let item: Item = serde_dynamo::from_item(change.new)
            .map_err(|error| PlatformError::DynamoDb(error.to_string()))?;
        let message: Message = serde_json::from_str(&item.message)?;
        probe.handle(message).await
    }
}

fn main() -> ExitCode {
    stream::serve::<ProbeStreamConsumer>()
}
