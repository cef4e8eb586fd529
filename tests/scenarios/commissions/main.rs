//! Commissions from outside: cards, Stripe's webhooks, invoices, and charging them without ever charging twice.
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value is null")]

mod cards;
mod charging;
mod crowd;
mod doubts;
mod invoicing;
mod months;
mod reviews;
mod webhooks;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let files = [
        cards::scenarios(),
        webhooks::scenarios(),
        charging::scenarios(),
        doubts::scenarios(),
        invoicing::scenarios(),
        reviews::scenarios(),
        crowd::scenarios(),
    ];
    let months = Suite::new("commissions over months", options(), [months::scenarios()]);
    run_suites([Suite::new("commissions", options(), files), months])
}
