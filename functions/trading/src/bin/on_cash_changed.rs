//! FIFO queue `portfolio-changes`, a group per account: the portfolio's targets follow its cash.

use std::process::ExitCode;

use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use platform::messaging::event::Envelope;
use trading::Error;
use trading::cash_change::CashChanges;
use trading::events::CashChanged;

struct OnCashChanged(CashChanges);

impl QueueConsumer for OnCashChanged {
    type Message = Envelope<CashChanged>;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        CashChanges::read(environment).map(Self)
    }

    async fn handle(&self, event: Envelope<CashChanged>, deadline: Deadline) -> Result<(), Error> {
        self.0.follow(&event, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<OnCashChanged>()
}
