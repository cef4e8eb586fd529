//! Queue `account-balances`: the balance of one account on one New York day.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use trading::Error;
use trading::balance::{AccountBalances, BalanceDue};

struct UpdateAccountBalance;

impl QueueConsumer for UpdateAccountBalance {
    type UseCase = AccountBalances;
    type Message = BalanceDue;
    type Error = Error;

    async fn handle(balances: &AccountBalances, due: BalanceDue, deadline: Deadline) -> Result<(), Error> {
        balances.update(&due, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<UpdateAccountBalance>()
}
