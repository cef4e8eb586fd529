//! Queue `bill-issuing`: has Billing make a bill, once, or take back one that was voided.

use std::process::ExitCode;

use dealers::Error;
use dealers::bill::issuing::{Issuer, IssuingMessage};
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct IssueBill;

impl QueueConsumer for IssueBill {
    type UseCase = Issuer;
    type Message = IssuingMessage;
    type Error = Error;

    async fn handle(issuer: &Issuer, message: IssuingMessage, deadline: Deadline) -> Result<(), Error> {
        issuer.issue(message.data.bill_id, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<IssueBill>()
}
