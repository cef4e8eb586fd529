//! Queue `drivewealth-events`: what DriveWealth tells of deposits, redemptions and accounts.

use std::process::ExitCode;

use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use trading::Error;
use trading::drivewealth_events::{DriveWealthEvent, DriveWealthEvents};

struct ApplyDriveWealthEvent(DriveWealthEvents);

impl QueueConsumer for ApplyDriveWealthEvent {
    type Message = DriveWealthEvent;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        DriveWealthEvents::read(environment).map(Self)
    }

    async fn handle(&self, event: DriveWealthEvent, deadline: Deadline) -> Result<(), Error> {
        self.0.apply(&event, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<ApplyDriveWealthEvent>()
}
