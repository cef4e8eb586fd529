//! Stream of the live states: what follows from warnings and violations.

use std::process::ExitCode;

use funded_accounts::Error;
use funded_accounts::consequence::Consequences;
use platform::deadline::Deadline;
use platform::entry::stream::{self, Change, StreamBatchConsumer};

struct MonitorRules;

impl StreamBatchConsumer for MonitorRules {
    type UseCase = Consequences;
    type Error = Error;

    async fn handle(consequences: &Consequences, changes: &[Change], _: Deadline) -> Result<(), Error> {
        consequences.follow(changes).await
    }
}

fn main() -> ExitCode {
    stream::serve_batches::<MonitorRules>()
}
