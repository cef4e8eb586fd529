//! Schedule: on working days the European Central Bank's new reference rates are taken over.

use std::process::ExitCode;

use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use serde::Deserialize;
use wallets::Error;
use wallets::rate_refresh::{RateRefresh, Report};

/// Nothing to choose.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct RefreshExchangeRates(RateRefresh);

impl Job for RefreshExchangeRates {
    type Input = NoInput;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        RateRefresh::read(environment).map(Self)
    }

    async fn run(&self, _: NoInput, deadline: Deadline) -> Result<Report, Error> {
        self.0.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<RefreshExchangeRates>()
}
