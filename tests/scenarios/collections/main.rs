//! Thematic collections from outside: putting them, ordering changes of what is held, carrying them out at the broker, and
//! what is seen of it. The market is open in one local cloud and closed in the other.
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value is null")]

mod applying;
mod catalogue;
mod closed_market;
mod doubts;
mod holdings;
mod ordering;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let files = [
        catalogue::scenarios(),
        ordering::scenarios(),
        applying::scenarios(),
        holdings::scenarios(),
        doubts::scenarios(),
    ];
    let closed = Suite::new(
        "collections, market closed",
        options(),
        [closed_market::scenarios()],
    );
    run_suites([Suite::new("collections", options(), files), closed])
}
