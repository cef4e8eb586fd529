//! Schedule, daily 17:00 New York: one message per account on `account-balances`.

use std::process::ExitCode;

use platform::clock::SystemClock;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};
use trading::Error;
use trading::balances::{DailyBalances, Report};

struct UpdateAccountBalances;

impl Job for UpdateAccountBalances {
    type UseCase = DailyBalances;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(daily_balances: &DailyBalances, input: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        daily_balances.run(input.time(&SystemClock)).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<UpdateAccountBalances>()
}
