//! Daily at 12:45 UTC: picks the invoices that are due, one message each for `pay_invoice`.

use std::process::ExitCode;

use commissions::Error;
use commissions::charging::{Picked, Picker};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job, ScheduledRun};

struct PayInvoices(Picker);

impl Job for PayInvoices {
    type Input = ScheduledRun;
    type Report = Picked;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Picker::read(environment).map(Self)
    }

    async fn run(&self, input: ScheduledRun, _: Deadline) -> Result<Picked, Error> {
        self.0.pick(input.time(&SystemClock)).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<PayInvoices>()
}
