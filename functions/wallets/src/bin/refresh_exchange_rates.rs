//! Schedule: on working days the European Central Bank's new reference rates are taken over.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use platform::http::Nothing;
use wallets::Error;
use wallets::rate::refresh::{RateRefresh, Report};

struct RefreshExchangeRates;

impl Job for RefreshExchangeRates {
    type UseCase = RateRefresh;
    type Input = Nothing;
    type Report = Report;
    type Error = Error;

    async fn run(refresh: &RateRefresh, _: Nothing, deadline: Deadline) -> Result<Report, Error> {
        refresh.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<RefreshExchangeRates>()
}
