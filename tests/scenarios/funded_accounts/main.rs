//! Funded accounts from outside: tiers, activation, live state and rules, closure, history, restoration, payees, withdrawals.
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value is null")]

mod activation;
mod crowd;
mod decisions;
mod history;
mod live;
mod payees;
mod payouts;
mod reported;
mod restoration;
mod rules;
mod stripe_calls;
mod telling;
mod tiers;
mod withdrawals;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let files = [
        tiers::scenarios(),
        activation::scenarios(),
        live::scenarios(),
        crowd::scenarios(),
        rules::scenarios(),
        history::scenarios(),
        restoration::scenarios(),
        payees::scenarios(),
        withdrawals::scenarios(),
        decisions::scenarios(),
        payouts::scenarios(),
        stripe_calls::scenarios(),
        telling::scenarios(),
        reported::scenarios(),
    ];
    run_suites([Suite::new("funded_accounts", options(), files)])
}
