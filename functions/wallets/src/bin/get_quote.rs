//! `GET /clients/{client_id}/quotes`: what a transfer of the client would pay and bring now.

use platform::prelude::*;
use wallets::client::access;
use wallets::quote::view::QuoteView;
use wallets::quote::{QuoteQuery, Quotes};

struct GetQuote;

impl HttpOperation for GetQuote {
    type UseCase = Quotes;
    type Input = QuoteQuery;
    type Output = QuoteView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a quote",
            "What a transfer would pay and bring now, with the rate. Nothing is written or promised: a transfer converts at the \
             newest rate of its own moment. Whether there is enough in the wallet isn't looked at.",
        )
        .path_id("client_id", "The client that would pay.")
        .response(200, "The quote.")
        .problem(404, "There is no such wallet, or it is another client's.")
        .problem(422, "The amount is not acceptable, or there is no rate that converts.")
    }

    async fn handle(quotes: &Quotes, call: Call<QuoteQuery>) -> Result<Reply<QuoteView>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        Reply::ok(&quotes.quote(client, &call.input).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetQuote>()
}
