//! FIFO queue `portfolio-changes`, a group per account: the portfolio's targets follow its cash.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use platform::messaging::event::Envelope;
use trading::Error;
use trading::events::CashChanged;
use trading::portfolio::CashChanges;

struct OnCashChanged;

impl QueueConsumer for OnCashChanged {
    type UseCase = CashChanges;
    type Message = Envelope<CashChanged>;
    type Error = Error;

    async fn handle(
        changes: &CashChanges,
        event: Envelope<CashChanged>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        changes.apply(&event, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<OnCashChanged>()
}
