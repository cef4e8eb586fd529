//! Queue `account-balances`: what one account is worth on one New York day.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use trading::Error;
use trading::balances::{BalanceDue, Balances};

struct UpdateAccountBalance;

impl QueueConsumer for UpdateAccountBalance {
    type UseCase = Balances;
    type Message = BalanceDue;
    type Error = Error;

    async fn handle(balances: &Balances, due: BalanceDue, deadline: Deadline) -> Result<(), Error> {
        balances.take(&due, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<UpdateAccountBalance>()
}
