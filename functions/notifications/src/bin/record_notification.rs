//! Queue `domain-events`: turns an event into a notification, once per event.

use std::process::ExitCode;

use notifications::Error;
use notifications::delivery::Recorder;
use notifications::event::DomainEvent;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct RecordNotification;

impl QueueConsumer for RecordNotification {
    type UseCase = Recorder;
    type Message = DomainEvent;
    type Error = Error;

    async fn handle(recorder: &Recorder, event: DomainEvent, _: Deadline) -> Result<(), Error> {
        recorder.record(&event).await
    }
}

fn main() -> ExitCode {
    queue::serve::<RecordNotification>()
}
