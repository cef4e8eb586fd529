//! A consumer of a topic that behaves as its records say.

use std::process::ExitCode;

use end_to_end::probe::{Message, Probe};
use platform::deadline::Deadline;
use platform::entry::kafka::{self, TopicConsumer};
use platform::error::PlatformError;

struct ProbeTopicConsumer;

impl TopicConsumer for ProbeTopicConsumer {
    type UseCase = Probe;
    type Message = Message;
    type Error = PlatformError;

    async fn handle(probe: &Probe, message: Message, _: Deadline) -> Result<(), PlatformError> {
        probe.handle(message).await
    }
}

fn main() -> ExitCode {
    kafka::serve::<ProbeTopicConsumer>()
}
