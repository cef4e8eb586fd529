//! `POST /clients/{client_id}/wallets`: opens a wallet in a currency.

use std::process::ExitCode;

use domain::currency::Currency;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::answer::WalletView;
use wallets::clients::Clients;

/// A wallet to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OpenWalletRequest {
    /// Its currency, an ISO 4217 code.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", examples("EUR"))]
    currency: Currency,
}

struct OpenWallet;

impl HttpOperation for OpenWallet {
    type UseCase = Clients;
    type Input = OpenWalletRequest;
    type Output = WalletView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Open a wallet",
            "Opens a wallet for the client. A client has one in each currency: asking again gives the one there is.",
        )
        .path_id("client_id", "The client.")
        .answer(201, "The wallet is new.")
        .answer(200, "The client has a wallet in this currency.")
        .refusal(404, "There is no such client.")
    }

    async fn handle(clients: &Clients, call: Call<OpenWalletRequest>) -> Result<Reply<WalletView>, Problem> {
        access::service(&call.identity)?;
        let answer = clients
            .open_wallet(call.path("client_id")?, call.input.currency)
            .await?;
        Reply::with_status(if answer.replayed { 200 } else { 201 }, &answer.view)
    }
}

fn main() -> ExitCode {
    http::serve::<OpenWallet>()
}
