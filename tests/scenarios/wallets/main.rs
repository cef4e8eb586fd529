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
mod nodes;
mod quotes;
mod rates;
mod split;
mod statements;
mod transfers;
mod withdrawals;

use std::process::ExitCode;

use end_to_end::{Scenario, Suite, options, run_suites};

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
    let nodes = Suite::new("wallets over three nodes", nodes::options(), [nodes::scenarios()]);
    let all_deferred =
        Suite::new("wallets, deferred", deferred::options(), in_either_mode()).without(&IMMEDIATE);
    let all_over_nodes = Suite::new("wallets, over three nodes", nodes::options(), in_either_mode())
        .without(&IMMEDIATE)
        .without(&OF_ONE_NODE);
    run_suites([
        Suite::new("wallets", options(), files),
        rates,
        jumps,
        deferred,
        nodes,
        all_deferred,
        all_over_nodes,
    ])
}

/// What callers see alike whether a receiver is credited at once or later, and wherever a client lives.
fn in_either_mode() -> [Vec<Scenario>; 7] {
    [
        transfers::scenarios(),
        conversions::scenarios(),
        keys::scenarios(),
        batches::scenarios(),
        withdrawals::scenarios(),
        statements::scenarios(),
        quotes::scenarios(),
    ]
}

/// What is otherwise where transfers are deferred.
const IMMEDIATE: [&str; 6] = [
    // A receiver that is full refuses later.
    "transfers::refused_transfer_writes_nothing",
    // Looks for the statement that makes both sides.
    "transfers::key_in_flight_is_reported",
    // The event is of the time of the settlement.
    "transfers::transfer_is_published_for_payer_and_receiver",
    // What one item brings isn't there for the next one.
    "batches::each_transfer_of_a_batch_has_its_own_result",
    "batches::atomic_batch_is_done_whole_or_not_at_all",
    "batches::batch_does_what_its_transfers_one_by_one_would",
];

/// What is otherwise over several nodes.
const OF_ONE_NODE: [&str; 2] = [
    // An atomic batch of two payers.
    "batches::key_of_a_batch_covers_all_of_it",
    // Writes keys into the database as an earlier release did.
    "keys::key_from_before_callers_were_kept_counts_for_the_same_request",
];
