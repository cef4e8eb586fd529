//! `POST /clients/{client_id}/transfers`: pays from the client's wallet into another.

use domain::wallets::payment::PaymentStatus;
use platform::prelude::*;
use wallets::client::access;
use wallets::payment::view::PaymentView;
use wallets::transfer::{TransferRequest, Transfers};

struct Transfer;

impl HttpOperation for Transfer {
    type UseCase = Transfers;
    type Input = TransferRequest;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Transfer",
            "Pays from the client's wallet into another client's, or another of its own; between two currencies at the newest \
             rate. As it is configured, it is done when this returns, or `pending` until the receiver has its money: the payment \
             and the events tell then whether it is `done`, or `failed` and the money is back.",
        )
        .path_id("client_id", "The client who pays.")
        .idempotent()
        .one_of("TransferRequest", &["amount", "receiver_amount"])
        .response(201, "The payer's side of the transfer. It is done; of one that was sent before it may have failed.")
        .response(202, "The payer's side of the transfer, which is pending: the money has left the wallet.")
        .problem(402, "There is not enough in the wallet; the detail has the balance.")
        .problem(404, "The payer has no such wallet, or there is no such receiver.")
    }

    async fn handle(
        transfers: &Transfers,
        call: Call<TransferRequest>,
    ) -> Result<Reply<PaymentView>, Problem> {
        let mover = access::moving_for(&call.identity, call.path("client_id")?)?;
        let key = call.idempotency_key()?;
        let made = transfers.transfer(mover, &key, call.input).await?;
        let status = match made.value.payment_status {
            PaymentStatus::Pending => 202,
            PaymentStatus::Done | PaymentStatus::Failed => 201,
        };
        made.into_reply(status)
    }
}

fn main() -> ExitCode {
    serve::<Transfer>()
}
