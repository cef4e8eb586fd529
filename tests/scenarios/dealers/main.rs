//! Dealers from outside: accounts in Billing, bills, and payments from the topic, of which none is lost or counted twice.
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value is null")]

mod bills;
mod fast_buyout;
mod outages;
mod payments;
mod poison;
mod reconciliation;
mod registration;
mod reversals;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let files = [
        registration::scenarios(),
        bills::scenarios(),
        payments::scenarios(),
        reversals::scenarios(),
        poison::scenarios(),
        fast_buyout::scenarios(),
        outages::scenarios(),
        reconciliation::scenarios(),
    ];
    run_suites([Suite::new("dealers", options(), files)])
}
