//! Stream of the live states: the newest of each account into PostgreSQL, and a point of its equity.

use std::process::ExitCode;

use funded_accounts::Error;
use funded_accounts::record::Recorder;
use platform::deadline::Deadline;
use platform::entry::stream::{self, Change, StreamBatchConsumer};

struct PersistState;

impl StreamBatchConsumer for PersistState {
    type UseCase = Recorder;
    type Error = Error;

    async fn handle(recorder: &Recorder, changes: &[Change], _: Deadline) -> Result<(), Error> {
        recorder.record(changes).await
    }
}

fn main() -> ExitCode {
    stream::serve_batches::<PersistState>()
}
