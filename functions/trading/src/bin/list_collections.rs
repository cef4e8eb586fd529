//! `GET /trading/collections`: the thematic collections.

use platform::prelude::*;
use trading::collection::{CollectionView, Collections};

struct ListCollections;

impl HttpOperation for ListCollections {
    type UseCase = Collections;
    type Input = PageQuery;
    type Output = Page<CollectionView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List collections",
            "The thematic collections with the weights of their models, by id.",
        )
        .response(200, "A page of the collections.")
    }

    async fn handle(
        use_case: &Collections,
        call: Call<PageQuery>,
    ) -> Result<Reply<Page<CollectionView>>, Problem> {
        call.identity.profile()?;
        Reply::ok(&use_case.page(call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListCollections>()
}
