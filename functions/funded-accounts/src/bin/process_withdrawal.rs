//! Queue `withdrawal-steps`: goes on with a withdrawal as far as it comes.

use std::process::ExitCode;

use funded_accounts::Error;
use funded_accounts::payment::{Payments, StepDue};
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct ProcessWithdrawal;

impl QueueConsumer for ProcessWithdrawal {
    type UseCase = Payments;
    type Message = StepDue;
    type Error = Error;

    async fn handle(payments: &Payments, message: StepDue, deadline: Deadline) -> Result<(), Error> {
        payments.go_on(&message.data, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<ProcessWithdrawal>()
}
