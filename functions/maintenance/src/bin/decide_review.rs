//! `POST /admin/reviews/{review_id}/decision`: an operator decides; the area applies it.

use maintenance::review::{DecisionRequest, ReviewDecider, ReviewView};
use platform::prelude::*;

struct DecideReview;

impl HttpOperation for DecideReview {
    type UseCase = ReviewDecider;
    type Input = DecisionRequest;
    type Output = ReviewView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Decide a review",
            "For administrators. The decision is recorded under the token's subject and goes to the review's area, which \
             applies it in a moment, or opens the review again and says why. Of two operators the first one decides; the \
             same decision again changes nothing.",
        )
        .path_id("review_id", "The review.")
        .response(202, "The review as it is decided; read it again to see what became of that.")
        .problem(409, "It is decided already, differently or by somebody else.")
        .problem(422, "The review has no such action, or a parameter or the reason is not acceptable.")
    }

    async fn handle(
        reviews: &ReviewDecider,
        call: Call<DecisionRequest>,
    ) -> Result<Reply<ReviewView>, Problem> {
        let operator = call.identity.operator()?;
        let review = call.path("review_id")?;
        Reply::with_status(202, &reviews.decide(review, &operator, call.input).await?)
    }
}

fn main() -> ExitCode {
    serve::<DecideReview>()
}
