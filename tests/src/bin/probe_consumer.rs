//! A consumer of queues that behaves as its messages say.

use std::process::ExitCode;

use end_to_end::probe::{Message, Probe};
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use platform::error::PlatformError;

struct ProbeConsumer;

impl QueueConsumer for ProbeConsumer {
    type UseCase = Probe;
    type Message = Message;
    type Error = PlatformError;

    async fn handle(probe: &Probe, message: Message, _: Deadline) -> Result<(), PlatformError> {
        probe.handle(message).await
    }
}

fn main() -> ExitCode {
    queue::serve::<ProbeConsumer>()
}
