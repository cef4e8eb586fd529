//! `POST /clients/{client_id}/withdrawals`: takes money out of a wallet.

use std::process::ExitCode;

use domain::ids::WalletId;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::answer::PaymentView;
use wallets::recharge::MovementRequest;
use wallets::withdrawal::Withdrawals;
/// Money to take out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WalletWithdrawalRequest {
    /// The client's wallet.
    #[schema(value_type = i64, minimum = 1)]
    wallet_id: WalletId,
    /// In minor units of the wallet's currency, above zero; a whole number without a decimal point.
    #[schema(minimum = 1, examples(50_000))]
    amount: i64,
}

struct WithdrawFromWallet;

impl HttpOperation for WithdrawFromWallet {
    type UseCase = Withdrawals;
    type Input = WalletWithdrawalRequest;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Withdraw from a wallet",
            "Takes the money out of the balance at once. The payment is pending until the withdrawal is settled.",
        )
        .path_id("client_id", "The client.")
        .idempotent()
        .answer(201, "The money is out of the balance.")
        .refusal(402, "There is not enough in the wallet; the detail tells the balance.")
        .refusal(404, "The client has no such wallet, or it is another client's.")
    }

    async fn handle(withdrawals: &Withdrawals, call: Call<WalletWithdrawalRequest>) -> Result<Reply<PaymentView>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        let key = call.idempotency_key()?;
        let WalletWithdrawalRequest { wallet_id, amount } = call.input;
        let movement = MovementRequest { wallet_id, amount };
        withdrawals.withdraw(client, &key, movement).await?.into_reply()
    }
}

fn main() -> ExitCode {
    http::serve::<WithdrawFromWallet>()
}
