//! `POST /clients`: registers a client of a service, with wallets.

use platform::prelude::*;
use wallets::Error;
use wallets::client::view::ClientView;
use wallets::client::{Clients, RegisterClientRequest, Registration, access};

struct RegisterClient;

impl HttpOperation for RegisterClient {
    type UseCase = Clients;
    type Input = RegisterClientRequest;
    type Output = ClientView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Register a client",
            "Registers a client and opens its wallets. The same external_ref of the same caller again gives the client that has \
             it, and opens the wallets that it lacks.",
        )
        .idempotent_when("Needed without an external_ref; ignored with one, by which the client is found again.")
        .response(201, "The client is new.")
        .response(200, "There is a client of this external_ref.")
        .problem(
            422,
            "The external_ref or the list of currencies is not acceptable, there is neither an external_ref nor a good key, or the \
             key was used for another registration.",
        )
    }

    async fn handle(
        clients: &Clients,
        call: Call<RegisterClientRequest>,
    ) -> Result<Reply<ClientView>, Problem> {
        let caller = access::calling_service(&call.identity)?;
        match &call.input.external_ref {
            Some(external_ref) => {
                let registration = Registration::Named(external_ref);
                let client = clients.register(caller, registration, &call.input).await?;
                Reply::with_status(if client.replayed { 200 } else { 201 }, &client.value)
            }
            None => {
                let key = call.idempotency_key().map_err(|problem| Error::Invalid {
                    field: "external_ref",
                    message: format!("is needed, or a key in its place ({})", problem.detail),
                })?;
                let registration = Registration::Keyed(&key);
                let client = clients.register(caller, registration, &call.input).await?;
                client.into_reply(201)
            }
        }
    }
}

fn main() -> ExitCode {
    serve::<RegisterClient>()
}
