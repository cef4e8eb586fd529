//! Daily at 12:30 UTC: creates the invoices of months that have ended.

use std::process::ExitCode;

use commissions::Error;
use commissions::invoice::{InvoiceCreation, InvoicingReport};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct CreateInvoices;

impl Job for CreateInvoices {
    type UseCase = InvoiceCreation;
    type Input = ScheduledRun;
    type Report = InvoicingReport;
    type Error = Error;

    async fn run(
        creation: &InvoiceCreation,
        run: ScheduledRun,
        _: Deadline,
    ) -> Result<InvoicingReport, Error> {
        creation.run(run).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<CreateInvoices>()
}
