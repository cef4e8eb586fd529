//! Daily at 12:45 UTC: picks the invoices that are due, one message each for `pay_invoice`.

use std::process::ExitCode;

use commissions::Error;
use commissions::dunning::{DueInvoices, PickedReport};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct PayInvoices;

impl Job for PayInvoices {
    type UseCase = DueInvoices;
    type Input = ScheduledRun;
    type Report = PickedReport;
    type Error = Error;

    async fn run(due: &DueInvoices, run: ScheduledRun, _: Deadline) -> Result<PickedReport, Error> {
        due.pick(run).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<PayInvoices>()
}
