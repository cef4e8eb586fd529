//! `POST /clients/{client_id}/withdrawals/{transaction_id}/settlement`: tells how a withdrawal has ended.

use std::process::ExitCode;

use domain::wallets::payment::Settlement;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::answer::PaymentView;
use wallets::withdrawal::Withdrawals;

/// How a withdrawal has ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WithdrawalSettlementRequest {
    /// `done`: the money has left. `failed`: it hasn't, and goes back into the wallet.
    #[schema(value_type = String, pattern = "^(done|failed)$", examples("done"))]
    outcome: Settlement,
}

struct SettleWithdrawal;

impl HttpOperation for SettleWithdrawal {
    type UseCase = Withdrawals;
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
        .answer(200, "The withdrawal as it has ended.")
        .refusal(404, "The client has no such withdrawal.")
    }

    async fn handle(withdrawals: &Withdrawals, call: Call<WithdrawalSettlementRequest>) -> Result<Reply<PaymentView>, Problem> {
        access::service(&call.identity)?;
        let (client, transaction) = (call.path("client_id")?, call.path("transaction_id")?);
        let key = call.idempotency_key()?;
        let answer = withdrawals
            .settle(client, transaction, &key, call.input.outcome)
            .await?;
        Ok(Reply::ok(&answer.view)?.replayed(answer.replayed))
    }
}

fn main() -> ExitCode {
    http::serve::<SettleWithdrawal>()
}
