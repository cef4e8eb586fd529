//! FIFO queue `collection-versions`, a group per account: carries out an account's collection versions, step by step.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use platform::messaging::event::Envelope;
use trading::Error;
use trading::events::AccountDue;
use trading::rebalancing::AccountWork;

struct ApplyCollectionVersion;

impl QueueConsumer for ApplyCollectionVersion {
    type UseCase = AccountWork;
    type Message = Envelope<AccountDue>;
    type Error = Error;

    async fn handle(
        work: &AccountWork,
        event: Envelope<AccountDue>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        work.work(&event.data, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<ApplyCollectionVersion>()
}
