//! `GET /clients/{client_id}/payments/{payment_id}`: one payment of the client, as it is now.

use platform::prelude::*;
use wallets::client::access;
use wallets::payment::Payments;
use wallets::payment::view::PaymentView;

struct GetPayment;

impl HttpOperation for GetPayment {
    type UseCase = Payments;
    type Input = Nothing;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a payment",
            "One payment of the client with its present status: whether a transfer or a withdrawal that was pending is done, or \
             has failed and the money is back.",
        )
        .path_id("client_id", "The client.")
        .path_id("payment_id", "The payment.")
        .response(200, "The payment.")
        .problem(404, "There is no such payment, or the client is another.")
    }

    async fn handle(payments: &Payments, call: Call<Nothing>) -> Result<Reply<PaymentView>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        Reply::ok(&payments.get(client, call.path("payment_id")?).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetPayment>()
}
