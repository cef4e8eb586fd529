//! Daily at 12:30 UTC: makes the invoices of months that are over.

use std::process::ExitCode;

use commissions::Error;
use commissions::invoicing::{Invoicing, Report};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct CreateInvoices(Invoicing);

impl Job for CreateInvoices {
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Invoicing::read(environment).map(Self)
    }

    async fn run(&self, input: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        self.0.run(input.time(&SystemClock)).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<CreateInvoices>()
}
