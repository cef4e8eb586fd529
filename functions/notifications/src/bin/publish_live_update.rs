//! Queue `live-updates`: tells the apps that look on what has just changed.

use std::process::ExitCode;

use notifications::Error;
use notifications::event::DomainEvent;
use notifications::live::LiveUpdates;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct PublishLiveUpdate;

impl QueueConsumer for PublishLiveUpdate {
    type UseCase = LiveUpdates;
    type Message = DomainEvent;
    type Error = Error;

    async fn handle(updates: &LiveUpdates, event: DomainEvent, deadline: Deadline) -> Result<(), Error> {
        updates.publish(&event, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<PublishLiveUpdate>()
}
