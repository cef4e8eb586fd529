//! `POST /clients`: registers a client of a service, with wallets.

use std::process::ExitCode;

use domain::currency::Currency;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::answer::ClientView;
use wallets::clients::Clients;

/// A client to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisterClientRequest {
    /// The service's own name of the client: 1 to 128 visible ASCII characters. One that is known leads to the client that
    /// has it.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[\x21-\x7E]+$",
        examples("shop-1001")
    )]
    external_ref: Option<String>,
    /// The currencies of the wallets to open, as ISO 4217 codes.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 50, pattern = "^[A-Z]{3}$", examples("USD"))]
    currencies: Vec<Currency>,
}

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
        .answer(201, "The client is new.")
        .answer(200, "There is a client of this external_ref.")
        .refusal(422, "The external_ref or the list of currencies is not acceptable.")
    }

    async fn handle(clients: &Clients, call: Call<RegisterClientRequest>) -> Result<Reply<ClientView>, Problem> {
        access::service(&call.identity)?;
        let RegisterClientRequest {
            external_ref,
            currencies,
        } = call.input;
        let answer = clients.register(external_ref.as_deref(), &currencies).await?;
        Reply::with_status(if answer.replayed { 200 } else { 201 }, &answer.view)
    }
}

fn main() -> ExitCode {
    http::serve::<RegisterClient>()
}
