//! Daily at 12:45 UTC: picks the invoices that are due, one message each for `pay_invoice`.

use std::process::ExitCode;

use commissions::Error;
use commissions::charging::{Picked, Picker};
use platform::clock::SystemClock;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct PayInvoices;

impl Job for PayInvoices {
    type UseCase = Picker;
    type Input = ScheduledRun;
    type Report = Picked;
    type Error = Error;

    async fn run(picker: &Picker, input: ScheduledRun, _: Deadline) -> Result<Picked, Error> {
        picker.pick(input.time(&SystemClock)).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<PayInvoices>()
}
