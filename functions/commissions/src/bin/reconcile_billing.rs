//! Daily: finds out what came of charges in doubt, and holds our record against Stripe's.

use std::process::ExitCode;

use commissions::Error;
use commissions::reconcile::{Reconciler, Report};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct ReconcileBilling(Reconciler);

impl Job for ReconcileBilling {
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Reconciler::read(environment).map(Self)
    }

    async fn run(&self, input: ScheduledRun, deadline: Deadline) -> Result<Report, Error> {
        self.0.run(input.time(&SystemClock), deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcileBilling>()
}
