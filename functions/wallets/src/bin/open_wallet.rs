//! `POST /clients/{client_id}/wallets`: opens a wallet in a currency.

use platform::prelude::*;
use wallets::client::view::WalletView;
use wallets::client::{Clients, OpenWalletRequest, access};

struct OpenWallet;

impl HttpOperation for OpenWallet {
    type UseCase = Clients;
    type Input = OpenWalletRequest;
    type Output = WalletView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Open a wallet",
            "Opens a wallet for the client. A client has one in each currency: the same request again gives the one there is.",
        )
        .path_id("client_id", "The client.")
        .response(201, "The wallet is new.")
        .response(200, "The client has a wallet in this currency.")
        .problem(404, "There is no such client.")
    }

    async fn handle(clients: &Clients, call: Call<OpenWalletRequest>) -> Result<Reply<WalletView>, Problem> {
        access::service(&call.identity)?;
        let wallet = clients.open_wallet(call.path("client_id")?, &call.input).await?;
        Reply::with_status(if wallet.replayed { 200 } else { 201 }, &wallet.value)
    }
}

fn main() -> ExitCode {
    serve::<OpenWallet>()
}
