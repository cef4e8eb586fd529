//! `GET /trading/history/rebalancings`: the caller's collection versions, newest first.

use platform::prelude::*;
use trading::collection_version::{CollectionVersionView, HistoryQuery, RebalancingHistory};

struct ListRebalancingHistory;

impl HttpOperation for ListRebalancingHistory {
    type UseCase = RebalancingHistory;
    type Input = HistoryQuery;
    type Output = Page<CollectionVersionView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List rebalancings",
            "The caller's orders to change what is held of collections, newest first: those that were carried out, unless \
             another status is asked for.",
        )
        .response(200, "A page of the history.")
    }

    async fn handle(
        use_case: &RebalancingHistory,
        call: Call<HistoryQuery>,
    ) -> Result<Reply<Page<CollectionVersionView>>, Problem> {
        let profile = call.identity.profile()?;
        let page = call.input.page()?;
        Reply::ok(&use_case.page(profile, call.input.status(), page).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListRebalancingHistory>()
}
