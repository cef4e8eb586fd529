//! `GET /trading/collections/{collection_id}/recommended-weights`: what of a collection to buy now.

use platform::prelude::*;
use trading::collection::{Collections, RecommendedWeightsView};

struct ListRecommendedWeights;

impl HttpOperation for ListRecommendedWeights {
    type UseCase = Collections;
    type Input = Nothing;
    type Output = RecommendedWeightsView;

    fn about() -> About {
        About::new(
            Method::Get,
            "List recommended weights",
            "The weights of the collection's model over those of its symbols that can be traded now, in sum 1.",
        )
        .path_id("collection_id", "The collection.")
        .response(200, "The weights; none when nothing of the collection can be traded.")
        .problem(404, "There is no such collection.")
    }

    async fn handle(
        use_case: &Collections,
        call: Call<Nothing>,
    ) -> Result<Reply<RecommendedWeightsView>, Problem> {
        call.identity.profile()?;
        Reply::ok(&use_case.recommended(call.path("collection_id")?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListRecommendedWeights>()
}
