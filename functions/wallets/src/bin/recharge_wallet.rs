//! `POST /clients/{client_id}/recharges`: brings money into a wallet.

use platform::prelude::*;
use wallets::client::access;
use wallets::movement::{MovementRequest, Movements};
use wallets::payment::view::PaymentView;

struct RechargeWallet;

impl HttpOperation for RechargeWallet {
    type UseCase = Movements;
    type Input = MovementRequest;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Recharge a wallet",
            "Brings money into the wallet, done at once; the service has it already.",
        )
        .path_id("client_id", "The client.")
        .idempotent()
        .response(201, "The money is in the wallet.")
        .problem(404, "The client has no such wallet.")
    }

    async fn handle(
        movements: &Movements,
        call: Call<MovementRequest>,
    ) -> Result<Reply<PaymentView>, Problem> {
        let caller = access::calling_service(&call.identity)?;
        let mover = access::Mover::service(caller, call.path("client_id")?);
        let key = call.idempotency_key()?;
        movements.recharge(mover, &key, call.input).await?.into_reply(201)
    }
}

fn main() -> ExitCode {
    serve::<RechargeWallet>()
}
