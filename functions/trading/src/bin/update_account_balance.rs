//! Queue `account-balances`: what one account is worth on one New York day.

use std::process::ExitCode;

use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use trading::Error;
use trading::balances::{BalanceDue, Balances};

struct UpdateAccountBalance(Balances);

impl QueueConsumer for UpdateAccountBalance {
    type Message = BalanceDue;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Balances::read(environment).map(Self)
    }

    async fn handle(&self, due: BalanceDue, deadline: Deadline) -> Result<(), Error> {
        self.0.take(&due, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<UpdateAccountBalance>()
}
