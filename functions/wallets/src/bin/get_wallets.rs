//! `GET /clients/{client_id}/wallets`: the client's wallets with their balances.

use platform::prelude::*;
use wallets::client::view::WalletView;
use wallets::client::{Clients, access};

struct GetWallets;

impl HttpOperation for GetWallets {
    type UseCase = Clients;
    type Input = Nothing;
    type Output = Page<WalletView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get wallets",
            "All wallets of the client with their balances, in the order in which they were opened.",
        )
        .path_id("client_id", "The client.")
        .response(200, "The wallets, on one page.")
        .problem(404, "There is no such client, or it is another.")
    }

    async fn handle(clients: &Clients, call: Call<Nothing>) -> Result<Reply<Page<WalletView>>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        Reply::ok(&Page {
            items: clients.wallets(client).await?,
            next_cursor: None,
        })
    }
}

fn main() -> ExitCode {
    serve::<GetWallets>()
}
