//! Queue `drivewealth-events`: what DriveWealth tells of deposits, redemptions and accounts.

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

    async fn handle(drive_wealth_events: &DriveWealthEvents, event: DriveWealthEvent, deadline: Deadline) -> Result<(), Error> {
        drive_wealth_events.apply(&event, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<ApplyDriveWealthEvent>()
}
