//! The demonstration, `make demo`: real input through the front door of a local cloud, and every outcome checked where
//! it should have arrived: at the API, in the database, at the broker and at Stripe, on the phone, in the mail and on
//! the topic.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for what it doesn't have"
)]

mod checks;
mod collections;
mod commissions;
mod dealers;
mod declines;
mod funded_accounts;
mod newcomer;
mod notifications;
mod payer;
mod payouts;
mod trading;
mod wallets;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use end_to_end::{Fixture, Result, root};
use local_cloud::{
    Options,
    cli::{StopSignal, init_tracing},
    progress::{in_words, warn},
};

use self::checks::Checks;

/// How long the broker takes from one state of a payment to the next.
const PACE: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() -> ExitCode {
    init_tracing();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            warn(format_args!("demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Plays the demonstration on a local cloud of its own, until it ends or is interrupted; false when a claim is false.
async fn run() -> Result<bool> {
    let options = Options {
        progress: true,
        schedules: true,
        ..Options::for_tests(&root())
    };
    let mut stop = StopSignal::new()?;
    let fixture = tokio::select! {
        fixture = Fixture::start(options) => fixture?,
        () = stop.wait() => return Ok(false),
    };
    let played = tokio::select! {
        played = play(&fixture) => played,
        () = stop.wait() => Ok(false),
    };
    fixture.stop().await;
    played
}

async fn play(fixture: &Fixture) -> Result<bool> {
    let begun = Instant::now();
    fixture.cloud.drivewealth().auto_advance(Some(PACE));
    let mut checks = Checks::default();
    newcomer::play(fixture, &mut checks).await?;
    trading::play(fixture, &mut checks).await?;
    wallets::play(fixture, &mut checks).await?;
    commissions::play(fixture, &mut checks).await?;
    notifications::play(fixture, &mut checks).await?;
    funded_accounts::play(fixture, &mut checks).await?;
    dealers::play(fixture, &mut checks).await?;
    collections::play(fixture, &mut checks).await?;
    Ok(checks.conclude(&in_words(begun.elapsed())))
}
