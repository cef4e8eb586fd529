//! `POST /clients/{client_id}/transfers`: pays from the client's wallet into another.

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
             rate. It is done when this returns.",
        )
        .path_id("client_id", "The client who pays.")
        .idempotent()
        .one_of("TransferRequest", &["amount", "receiver_amount"])
        .response(201, "The transfer is done; this is the payer's side of it.")
        .problem(402, "There is not enough in the wallet; the detail has the balance.")
        .problem(404, "The payer has no such wallet, or there is no such receiver.")
    }

    async fn handle(
        transfers: &Transfers,
        call: Call<TransferRequest>,
    ) -> Result<Reply<PaymentView>, Problem> {
        let mover = access::moving_for(&call.identity, call.path("client_id")?)?;
        let key = call.idempotency_key()?;
        transfers.transfer(mover, &key, call.input).await?.into_reply(201)
    }
}

fn main() -> ExitCode {
    serve::<Transfer>()
}
