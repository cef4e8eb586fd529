//! `POST /clients/{client_id}/withdrawals`: takes money out of a wallet.

use platform::prelude::*;
use wallets::client::access;
use wallets::movement::{MovementRequest, Movements};
use wallets::payment::view::PaymentView;

struct WithdrawFromWallet;

impl HttpOperation for WithdrawFromWallet {
    type UseCase = Movements;
    type Input = MovementRequest;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Withdraw from a wallet",
            "Takes the money out of the balance at once. The payment is pending until the withdrawal is settled.",
        )
        .path_id("client_id", "The client.")
        .idempotent()
        .response(201, "The money is out of the balance.")
        .problem(402, "There is not enough in the wallet; the detail has the balance.")
        .problem(404, "The client has no such wallet, or it is another client's.")
    }

    async fn handle(
        movements: &Movements,
        call: Call<MovementRequest>,
    ) -> Result<Reply<PaymentView>, Problem> {
        let mover = access::moving_for(&call.identity, call.path("client_id")?)?;
        let key = call.idempotency_key()?;
        movements.withdraw(mover, &key, call.input).await?.into_reply(201)
    }
}

fn main() -> ExitCode {
    serve::<WithdrawFromWallet>()
}
