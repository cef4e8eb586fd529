//! Stream of the notifications table: mails new feed items of the kinds that go by mail.

use std::process::ExitCode;

use notifications::Error;
use notifications::delivery::Mailer;
use platform::deadline::Deadline;
use platform::entry::stream::{self, Change, StreamConsumer};

struct MailNotification;

impl StreamConsumer for MailNotification {
    type UseCase = Mailer;
    type Error = Error;

    async fn handle(mailer: &Mailer, change: Change, deadline: Deadline) -> Result<(), Error> {
        mailer.mail(&change, deadline).await
    }
}

fn main() -> ExitCode {
    stream::serve::<MailNotification>()
}
