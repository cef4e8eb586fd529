//! Stream of the notifications table: pushes new feed items to the profile's phones.

use std::process::ExitCode;

use notifications::Error;
use notifications::push::Pusher;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::stream::{self, Change, StreamConsumer};

struct PushNotification(Pusher);

impl StreamConsumer for PushNotification {
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Pusher::read(environment).map(Self)
    }

    async fn handle(&self, change: Change, deadline: Deadline) -> Result<(), Error> {
        self.0.push(change, deadline).await
    }
}

fn main() -> ExitCode {
    stream::serve::<PushNotification>()
}
