//! `GET /trading/history`: all that has moved the caller's money, newest first.

use platform::prelude::*;
use trading::history::{HistoryEntryView, TradingHistory, TradingHistoryQuery};

struct GetTradingHistory;

impl HttpOperation for GetTradingHistory {
    type UseCase = TradingHistory;
    type Input = TradingHistoryQuery;
    type Output = Page<HistoryEntryView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get trading history",
            "The caller's deposits, withdrawals, rebalancings and commissions in one list, newest first.",
        )
        .response(200, "A page of the history.")
    }

    async fn handle(
        use_case: &TradingHistory,
        call: Call<TradingHistoryQuery>,
    ) -> Result<Reply<Page<HistoryEntryView>>, Problem> {
        let profile = call.identity.profile()?;
        let page = call.input.page()?;
        Reply::ok(&use_case.page(profile, call.input.kind, page).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetTradingHistory>()
}
