//! Topic `billing.payments`: applies what a dealer has paid, or that a payment was booked by mistake.

use std::process::ExitCode;

use dealers::Error;
use dealers::payment::{PaymentMessage, Payments};
use platform::deadline::Deadline;
use platform::entry::kafka::{self, TopicConsumer};

struct ApplyBillPayment;

impl TopicConsumer for ApplyBillPayment {
    type UseCase = Payments;
    type Message = PaymentMessage;
    type Error = Error;

    async fn handle(payments: &Payments, message: PaymentMessage, _: Deadline) -> Result<(), Error> {
        payments.apply(&message).await.map(|_| ())
    }
}

fn main() -> ExitCode {
    kafka::serve::<ApplyBillPayment>()
}
