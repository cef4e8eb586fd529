//! The platform from outside: the system's own queues and its outbox, and, with a probe for a function, the entry point for
//! queues.

mod queue_consumers;
mod queues;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let Ok(folder) = tempfile::tempdir() else {
        return ExitCode::FAILURE;
    };
    let system = Suite::new("platform", options(), [queues::scenarios()]);
    let probe = Suite::new(
        "the probe",
        queue_consumers::options(folder.path()),
        [queue_consumers::scenarios()],
    );
    run_suites([system, probe])
}
