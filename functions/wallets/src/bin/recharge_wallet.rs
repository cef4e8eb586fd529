//! `POST /clients/{client_id}/recharges`: brings money into a wallet.

use std::process::ExitCode;

use domain::ids::WalletId;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::answer::PaymentView;
use wallets::recharge::{MovementRequest, Recharges};

/// Money to bring in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WalletRechargeRequest {
    /// The client's wallet.
    #[schema(value_type = i64, minimum = 1)]
    wallet_id: WalletId,
    /// In minor units of the wallet's currency, above zero; a whole number without a decimal point.
    #[schema(minimum = 1, examples(50_000))]
    amount: i64,
}

struct RechargeWallet;

impl HttpOperation for RechargeWallet {
    type UseCase = Recharges;
    type Input = WalletRechargeRequest;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Recharge a wallet",
            "Brings money into the wallet, done at once; the service has it already.",
        )
        .path_id("client_id", "The client.")
        .idempotent()
        .answer(201, "The money is in the wallet.")
        .refusal(404, "The client has no such wallet.")
    }

    async fn handle(recharges: &Recharges, call: Call<WalletRechargeRequest>) -> Result<Reply<PaymentView>, Problem> {
        access::service(&call.identity)?;
        let client = call.path("client_id")?;
        let key = call.idempotency_key()?;
        let WalletRechargeRequest { wallet_id, amount } = call.input;
        let movement = MovementRequest { wallet_id, amount };
        recharges.recharge(client, &key, movement).await?.into_reply()
    }
}

fn main() -> ExitCode {
    http::serve::<RechargeWallet>()
}
