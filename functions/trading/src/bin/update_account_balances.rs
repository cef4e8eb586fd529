//! Schedule, daily 17:00 New York: one message per account on `account-balances`.

use std::process::ExitCode;

use platform::clock::SystemClock;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};
use trading::Error;
use trading::balances::{DailyBalances, Report};

struct UpdateAccountBalances(DailyBalances);

impl Job for UpdateAccountBalances {
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        DailyBalances::read(environment).map(Self)
    }

    async fn run(&self, input: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        self.0.run(input.time(&SystemClock)).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<UpdateAccountBalances>()
}
