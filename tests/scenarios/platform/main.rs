//! The platform from outside: the system's own queues and its outbox.

mod queues;

use std::process::ExitCode;

use end_to_end::{options, run_scenarios};

fn main() -> ExitCode {
    run_scenarios("platform", options(), queues::scenarios())
}
