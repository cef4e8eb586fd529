//! Kafka `assessment.completed`: a trader who has passed gets an account, once.

use std::process::ExitCode;

use funded_accounts::Error;
use funded_accounts::activation::{Activator, AssessmentCompleted};
use platform::deadline::Deadline;
use platform::entry::kafka::{self, TopicConsumer};

struct ActivateFundedAccount;

impl TopicConsumer for ActivateFundedAccount {
    type UseCase = Activator;
    type Message = AssessmentCompleted;
    type Error = Error;

    async fn handle(activator: &Activator, message: AssessmentCompleted, _: Deadline) -> Result<(), Error> {
        activator.activate(&message).await
    }
}

fn main() -> ExitCode {
    kafka::serve::<ActivateFundedAccount>()
}
