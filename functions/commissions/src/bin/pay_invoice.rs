//! Queue `invoice-payments`: does what is to be done about one invoice, most often charges it.

use std::process::ExitCode;

use commissions::Error;
use commissions::charging::{Charging, PaymentDue};
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct PayInvoice(Charging);

impl QueueConsumer for PayInvoice {
    type Message = PaymentDue;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Charging::read(environment).map(Self)
    }

    async fn handle(&self, message: PaymentDue, deadline: Deadline) -> Result<(), Error> {
        let due = message.data;
        self.0.pay(due.invoice_id, due.as_of, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<PayInvoice>()
}
