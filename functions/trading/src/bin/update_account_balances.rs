//! Schedule, daily 17:00 New York: one message per account on `account-balances`.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};
use trading::Error;
use trading::balance::{DailyBalances, Report};

struct UpdateAccountBalances;

impl Job for UpdateAccountBalances {
    type UseCase = DailyBalances;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(balances: &DailyBalances, input: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        balances.run(input).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<UpdateAccountBalances>()
}
