//! `GET /admin/reviews/{review_id}`: one review with its evidence, its actions and its history.

use maintenance::review::{ReviewDetailView, ReviewReader};
use platform::prelude::*;

struct GetReview;

impl HttpOperation for GetReview {
    type UseCase = ReviewReader;
    type Input = Nothing;
    type Output = ReviewDetailView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a review",
            "For administrators. Our record and the other side's, what may be decided, and what has happened so far.",
        )
        .path_id("review_id", "The review.")
        .response(200, "The review.")
    }

    async fn handle(reviews: &ReviewReader, call: Call<Nothing>) -> Result<Reply<ReviewDetailView>, Problem> {
        call.identity.operator()?;
        Reply::ok(&reviews.get(call.path("review_id")?).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetReview>()
}
