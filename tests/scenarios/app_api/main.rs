//! The app's API in GraphQL: the functions behind the HTTP API, asked in one request and by an app's own words. That every
//! field says what its route says is tested with the event files.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod changing;
mod clients;
mod live;
mod portfolios;
mod reading;
mod refusals;

use std::process::ExitCode;

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let files = [
        reading::scenarios(),
        changing::scenarios(),
        clients::scenarios(),
        refusals::scenarios(),
        live::scenarios(),
        portfolios::scenarios(),
    ];
    run_suites([Suite::new("app_api", options(), files)])
}
