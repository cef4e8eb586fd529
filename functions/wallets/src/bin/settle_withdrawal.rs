//! `POST /clients/{client_id}/withdrawals/{transaction_id}/settlement`: records how a withdrawal has ended.

use platform::prelude::*;
use wallets::client::access;
use wallets::movement::{Movements, WithdrawalSettlementRequest};
use wallets::payment::view::PaymentView;

struct SettleWithdrawal;

impl HttpOperation for SettleWithdrawal {
    type UseCase = Movements;
    type Input = WithdrawalSettlementRequest;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Settle a withdrawal",
            "Ends a pending withdrawal. Settling it again in the same way changes nothing; in the opposite way, it is a \
             conflict.",
        )
        .path_id("client_id", "The client.")
        .path_uuid("transaction_id", "The withdrawal's transaction.")
        .idempotent()
        .response(200, "The withdrawal as it has ended.")
        .problem(404, "The client has no such withdrawal.")
    }

    async fn handle(
        movements: &Movements,
        call: Call<WithdrawalSettlementRequest>,
    ) -> Result<Reply<PaymentView>, Problem> {
        let caller = access::calling_service(&call.identity)?;
        let mover = access::Mover::service(caller, call.path("client_id")?);
        let transaction = call.path("transaction_id")?;
        let key = call.idempotency_key()?;
        let settled = movements.settle(mover, transaction, &key, call.input).await?;
        settled.into_reply(200)
    }
}

fn main() -> ExitCode {
    serve::<SettleWithdrawal>()
}
