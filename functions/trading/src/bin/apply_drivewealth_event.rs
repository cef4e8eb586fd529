//! Queue `drivewealth-events`: DriveWealth's events of deposits, redemptions and accounts.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use trading::Error;
use trading::drivewealth_events::{DriveWealthEvent, DriveWealthEvents};

struct ApplyDriveWealthEvent;

impl QueueConsumer for ApplyDriveWealthEvent {
    type UseCase = DriveWealthEvents;
    type Message = DriveWealthEvent;
    type Error = Error;

    async fn handle(
        events: &DriveWealthEvents,
        event: DriveWealthEvent,
        deadline: Deadline,
    ) -> Result<(), Error> {
        events.apply(&event, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<ApplyDriveWealthEvent>()
}
