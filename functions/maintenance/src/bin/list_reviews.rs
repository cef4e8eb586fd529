//! `GET /admin/reviews`: what waits, or waited, for a person, newest first.

use domain::review::ReviewState;
use maintenance::review::{ReviewFilter, ReviewReader, ReviewView, Word};
use platform::pagination::PageRequest;
use platform::prelude::*;

/// Which reviews.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ListReviewsQuery {
    /// Those of one area.
    #[schema(value_type = Option<String>, max_length = 100, pattern = "^[a-z]+(-[a-z]+)*$", examples("commissions"))]
    area: Option<Word>,
    /// Those of one kind.
    #[schema(
        value_type = Option<String>,
        max_length = 100,
        pattern = "^[a-z]+(-[a-z]+)*$",
        examples("invoice-uncollectible")
    )]
    kind: Option<Word>,
    /// Those in one state: `open`, `decided`, `applied` or `refused`.
    #[schema(value_type = Option<String>, pattern = "^(open|decided|applied|refused)$", examples("open"))]
    state: Option<ReviewState>,
    /// `next_cursor` of the page before; nothing for the first page.
    #[schema(max_length = 512)]
    cursor: Option<String>,
    /// Entries of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

struct ListReviews;

impl HttpOperation for ListReviews {
    type UseCase = ReviewReader;
    type Input = ListReviewsQuery;
    type Output = Page<ReviewView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List reviews",
            "For administrators. Everything that an area couldn't decide by itself and that waits, or waited, for a person; \
             newest first.",
        )
        .response(200, "A page of reviews.")
    }

    async fn handle(
        reviews: &ReviewReader,
        call: Call<ListReviewsQuery>,
    ) -> Result<Reply<Page<ReviewView>>, Problem> {
        call.identity.operator()?;
        let page = PageRequest::read(call.input.cursor.as_deref(), call.input.limit)?;
        let filter = ReviewFilter {
            area: call.input.area,
            kind: call.input.kind,
            state: call.input.state,
        };
        Reply::ok(&reviews.page(&filter, page).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListReviews>()
}
