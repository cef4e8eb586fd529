//! `POST /trading/collections/{collection_id}/versions`: makes the holdings of a collection look like the input.

use platform::prelude::*;
use trading::collection_version::{CollectionVersionView, Orders, ReconfigureRequest};

struct ReconfigureTtfHoldings;

impl HttpOperation for ReconfigureTtfHoldings {
    type UseCase = Orders;
    type Input = ReconfigureRequest;
    type Output = CollectionVersionView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Reconfigure the holdings of a collection",
            "Puts money into a collection, takes money out of it, or gives it other weights. From 09:25 New York to the close of \
             a trading day the order is carried out at once, otherwise on the next trading day; until then it can be cancelled.",
        )
        .path_id("collection_id", "The collection.")
        .idempotent()
        .response(202, "The order is taken; its status follows in the history and by notification.")
        .problem(404, "There is no such collection, or the account is not the caller's.")
        .problem(409, "There isn't enough to buy or to sell, the order is too small, or buying is suspended.")
        .problem(422, "The order doesn't say what to do, or its weights can't be taken.")
    }

    async fn handle(
        use_case: &Orders,
        call: Call<ReconfigureRequest>,
    ) -> Result<Reply<CollectionVersionView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let collection = call.path("collection_id")?;
        let order = use_case
            .place(profile, collection, key, &call.input, call.deadline)
            .await?;
        Ok(Reply::stored(order))
    }
}

fn main() -> ExitCode {
    serve::<ReconfigureTtfHoldings>()
}
