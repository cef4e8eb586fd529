//! Queue `invoice-payments`: does what is to be done about one invoice, most often charges it.

use std::process::ExitCode;

use commissions::Error;
use commissions::charging::{Charging, PaymentDue};
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct PayInvoice;

impl QueueConsumer for PayInvoice {
    type UseCase = Charging;
    type Message = PaymentDue;
    type Error = Error;

    async fn handle(charging: &Charging, message: PaymentDue, deadline: Deadline) -> Result<(), Error> {
        let due = message.data;
        charging.pay(due.invoice_id, due.as_of, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<PayInvoice>()
}
