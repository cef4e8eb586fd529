//! `POST /clients/{client_id}/transfers`: pays from the client's wallet into another.

use std::process::ExitCode;

use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::answer::PaymentView;
use wallets::transfer::{TransferRequest, Transfers};

/// A transfer to make. Either the payer's or the receiver's amount is fixed; the other follows from the rate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferBody {
    /// The payer's wallet.
    #[schema(value_type = i64, minimum = 1)]
    wallet_id: WalletId,
    /// Who gets the money.
    #[schema(value_type = i64, minimum = 1)]
    receiver_client_id: ClientId,
    /// Which of the receiver's wallets, by its currency. Unless given: the one in the payer's currency, else the only one.
    #[schema(value_type = Option<String>, pattern = "^[A-Z]{3}$", examples("EUR"))]
    receiver_currency: Option<Currency>,
    /// What the payer pays, in minor units of the payer's currency.
    #[schema(minimum = 1, examples(1_000))]
    amount: Option<i64>,
    /// What the receiver gets, in minor units of the receiver's currency; instead of `amount`.
    #[schema(minimum = 1)]
    receiver_amount: Option<i64>,
}

struct Transfer;

impl HttpOperation for Transfer {
    type UseCase = Transfers;
    type Input = TransferBody;
    type Output = PaymentView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Transfer",
            "Pays from the client's wallet into another client's, or another of its own; between two currencies at the newest \
             rate. It is done when this answers.",
        )
        .path_id("client_id", "The client who pays.")
        .idempotent()
        .answer(201, "The transfer is done; this is the payer's side of it.")
        .refusal(402, "There is not enough in the wallet; the detail tells the balance.")
        .refusal(404, "The payer has no such wallet, or there is no such receiver.")
    }

    async fn handle(transfers: &Transfers, call: Call<TransferBody>) -> Result<Reply<PaymentView>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        let key = call.idempotency_key()?;
        let transfer = TransferRequest {
            wallet_id: call.input.wallet_id,
            receiver_client_id: call.input.receiver_client_id,
            receiver_currency: call.input.receiver_currency,
            amount: call.input.amount,
            receiver_amount: call.input.receiver_amount,
        };
        transfers.transfer(client, &key, transfer).await?.into_reply()
    }
}

fn main() -> ExitCode {
    http::serve::<Transfer>()
}
