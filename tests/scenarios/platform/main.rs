//! The platform from outside: the system's own queues and its outbox, and, with probes for functions, the entry points for
//! queues, topics and streams.

mod queue_consumers;
mod queues;
mod stream_consumers;
mod topic_consumers;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let Ok(folder) = tempfile::tempdir() else {
        return ExitCode::FAILURE;
    };
    let system = Suite::new("platform", options(), [queues::scenarios()]);
    let probe = Suite::new(
        "the probes",
        queue_consumers::options(folder.path()),
        [
            queue_consumers::scenarios(),
            topic_consumers::scenarios(),
            stream_consumers::scenarios(),
        ],
    );
    run_suites([system, probe])
}
