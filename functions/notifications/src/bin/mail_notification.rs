//! Stream of the notifications table: mails new feed items of the kinds that go by mail.

use std::process::ExitCode;

use notifications::Error;
use notifications::mail::Mailer;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::stream::{self, Change, StreamConsumer};

struct MailNotification(Mailer);

impl StreamConsumer for MailNotification {
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Mailer::read(environment).map(Self)
    }

    async fn handle(&self, change: Change, deadline: Deadline) -> Result<(), Error> {
        self.0.mail(change, deadline).await
    }
}

fn main() -> ExitCode {
    stream::serve::<MailNotification>()
}
