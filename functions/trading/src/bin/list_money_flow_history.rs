//! `GET /trading/history/money-flow`: the caller's deposits and withdrawals, newest first.

use std::process::ExitCode;

use domain::ids::MoneyFlowId;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use platform::pagination::{self, Page};
use serde::Deserialize;
use trading::answer::MoneyFlowView;
use trading::history::MoneyFlowHistory;
use utoipa::ToSchema;

/// Which page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// `next_cursor` of the page before; nothing for the newest.
    #[schema(max_length = 512)]
    cursor: Option<String>,
    /// Entries of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

struct ListMoneyFlowHistory;

impl HttpOperation for ListMoneyFlowHistory {
    type UseCase = MoneyFlowHistory;
    type Input = HistoryQuery;
    type Output = Page<MoneyFlowView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List deposits and withdrawals",
            "The caller's deposits and withdrawals with their present status, newest first.",
        )
        .answer(200, "A page of the history.")
    }

    async fn handle(money_flow_history: &MoneyFlowHistory, call: Call<HistoryQuery>) -> Result<Reply<Page<MoneyFlowView>>, Problem> {
        let profile = call.identity.profile()?;
        let limit = pagination::limit(call.input.limit)?;
        let after: Option<MoneyFlowId> = call.input.cursor.as_deref().map(pagination::decode).transpose()?;
        Reply::ok(&money_flow_history.page(profile, after, limit).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<ListMoneyFlowHistory>()
}
