//! Queue `invoice-payments`: does what has to be done for one invoice, most often charges it.

use std::process::ExitCode;

use commissions::Error;
use commissions::charge::Charger;
use commissions::dunning::PaymentDue;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct PayInvoice;

impl QueueConsumer for PayInvoice {
    type UseCase = Charger;
    type Message = PaymentDue;
    type Error = Error;

    async fn handle(charger: &Charger, message: PaymentDue, deadline: Deadline) -> Result<(), Error> {
        charger.pay(&message.data, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<PayInvoice>()
}
