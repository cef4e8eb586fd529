//! Wallets from outside: payments in one and two currencies, batches, withdrawals, statements, rates, quotes, the books; and from
//! within: what the database refuses, what makes it ready to be split, and what many at once do to money.
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value is null")]

mod batches;
mod books;
mod conversions;
mod crowd;
mod database;
mod deferred;
mod jumps;
mod keys;
mod quotes;
mod rates;
mod split;
mod statements;
mod transfers;
mod withdrawals;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let files = [
        transfers::scenarios(),
        conversions::scenarios(),
        keys::scenarios(),
        batches::scenarios(),
        withdrawals::scenarios(),
        statements::scenarios(),
        quotes::scenarios(),
        books::scenarios(),
        database::scenarios(),
        split::scenarios(),
        crowd::scenarios(),
    ];
    // A file is held against all rates that were set, and may not be older than the last, so these have local clouds of
    // their own.
    let rates = Suite::new("exchange rates", options(), [rates::scenarios()]);
    let jumps = Suite::new("exchange rates that jump", options(), [jumps::scenarios()]);
    let deferred = Suite::new("deferred transfers", deferred::options(), [deferred::scenarios()]);
    run_suites([Suite::new("wallets", options(), files), rates, jumps, deferred])
}
