//! `GET /billing/commissions`: the commissions the caller has paid, newest first, with totals per year.

use std::process::ExitCode;

use commissions::history::{CommissionHistory, History, Position};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use platform::pagination;
use serde::Deserialize;
use utoipa::ToSchema;

/// Which page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// `next_cursor` of the page before; nothing for the newest.
    #[schema(max_length = 512)]
    cursor: Option<String>,
    /// Commissions of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

struct ListCommissionHistory;

impl HttpOperation for ListCommissionHistory {
    type UseCase = History;
    type Input = HistoryQuery;
    type Output = CommissionHistory;

    fn about() -> About {
        About::new(
            Method::Get,
            "List the commission history",
            "What the caller has paid: amount, period, payment method and time, newest first; and the totals of each year.",
        )
        .answer(200, "A page of the history.")
    }

    async fn handle(history: &History, call: Call<HistoryQuery>) -> Result<Reply<CommissionHistory>, Problem> {
        let profile = call.identity.profile()?;
        let limit = pagination::limit(call.input.limit)?;
        let after: Option<Position> = call.input.cursor.as_deref().map(pagination::decode).transpose()?;
        Reply::ok(&history.page(profile, after, limit).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<ListCommissionHistory>()
}
