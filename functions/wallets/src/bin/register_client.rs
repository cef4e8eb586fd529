//! `POST /clients`: registers a client of a service, with wallets.

use platform::prelude::*;
use wallets::client::view::ClientView;
use wallets::client::{Clients, RegisterClientRequest, access};

struct RegisterClient;

impl HttpOperation for RegisterClient {
    type UseCase = Clients;
    type Input = RegisterClientRequest;
    type Output = ClientView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Register a client",
            "Registers a client and opens its wallets. The same external_ref again gives the client that has it, and opens \
             the wallets that it lacks.",
        )
        .response(201, "The client is new.")
        .response(200, "There is a client of this external_ref.")
        .problem(422, "The external_ref or the list of currencies is not acceptable.")
    }

    async fn handle(
        clients: &Clients,
        call: Call<RegisterClientRequest>,
    ) -> Result<Reply<ClientView>, Problem> {
        access::service(&call.identity)?;
        let client = clients.register(&call.input).await?;
        Reply::with_status(if client.replayed { 200 } else { 201 }, &client.value)
    }
}

fn main() -> ExitCode {
    serve::<RegisterClient>()
}
