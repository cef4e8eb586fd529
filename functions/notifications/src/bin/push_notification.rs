//! Stream of the notifications table: pushes new feed items to the profile's phones.

use std::process::ExitCode;

use notifications::Error;
use notifications::delivery::Pusher;
use platform::deadline::Deadline;
use platform::entry::stream::{self, Change, StreamConsumer};

struct PushNotification;

impl StreamConsumer for PushNotification {
    type UseCase = Pusher;
    type Error = Error;

    async fn handle(pusher: &Pusher, change: Change, deadline: Deadline) -> Result<(), Error> {
        pusher.push(&change, deadline).await
    }
}

fn main() -> ExitCode {
    stream::serve::<PushNotification>()
}
