//! Queue `domain-events`: turns what happened into a notification, once per event.

use std::process::ExitCode;

use notifications::Error;
use notifications::events::DomainEvent;
use notifications::record::Recorder;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct RecordNotification(Recorder);

impl QueueConsumer for RecordNotification {
    type Message = DomainEvent;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Recorder::read(environment).map(Self)
    }

    async fn handle(&self, event: DomainEvent, _: Deadline) -> Result<(), Error> {
        self.0.record(&event).await
    }
}

fn main() -> ExitCode {
    queue::serve::<RecordNotification>()
}
