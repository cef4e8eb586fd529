//! Daily at 12:30 UTC: makes the invoices of months that are over.

use std::process::ExitCode;

use commissions::Error;
use commissions::invoicing::{Invoicing, Report};
use platform::clock::SystemClock;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct CreateInvoices;

impl Job for CreateInvoices {
    type UseCase = Invoicing;
    type Input = ScheduledRun;
    type Report = Report;
    type Error = Error;

    async fn run(invoicing: &Invoicing, input: ScheduledRun, _: Deadline) -> Result<Report, Error> {
        invoicing.run(input.time(&SystemClock)).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<CreateInvoices>()
}
