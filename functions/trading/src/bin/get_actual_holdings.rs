//! `GET /trading/collections/{collection_id}/holdings`: what the caller holds of a collection.

use platform::prelude::*;
use trading::holding::{ActualHoldings, HoldingsView};

struct GetActualHoldings;

impl HttpOperation for GetActualHoldings {
    type UseCase = ActualHoldings;
    type Input = Nothing;
    type Output = HoldingsView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get actual holdings",
            "What the caller holds of a collection, symbol by symbol, as the broker tells it now.",
        )
        .path_id("collection_id", "The collection.")
        .response(200, "The holdings; none when nothing is held.")
        .problem(
            404,
            "There is no such collection, or the caller has no trading account.",
        )
        .problem(409, "The account has no portfolio at the broker.")
    }

    async fn handle(use_case: &ActualHoldings, call: Call<Nothing>) -> Result<Reply<HoldingsView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(
            &use_case
                .get(profile, call.path("collection_id")?, call.deadline)
                .await?,
        )
    }
}

fn main() -> ExitCode {
    serve::<GetActualHoldings>()
}
