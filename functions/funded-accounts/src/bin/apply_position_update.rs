//! Kafka `funded-account.positions`: state, rules and a violation, in one conditional write.

use std::process::ExitCode;

use funded_accounts::Error;
use funded_accounts::live::{LiveAccounts, PositionUpdate};
use platform::deadline::Deadline;
use platform::entry::kafka::{self, TopicConsumer};

struct ApplyPositionUpdate;

impl TopicConsumer for ApplyPositionUpdate {
    type UseCase = LiveAccounts;
    type Message = PositionUpdate;
    type Error = Error;

    async fn handle(accounts: &LiveAccounts, update: PositionUpdate, _: Deadline) -> Result<(), Error> {
        accounts.apply(update).await
    }
}

fn main() -> ExitCode {
    kafka::serve::<ApplyPositionUpdate>()
}
