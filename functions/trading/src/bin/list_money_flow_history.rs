//! `GET /trading/history/money-flow`: the caller's deposits and withdrawals, newest first.

use platform::prelude::*;
use trading::money_flow::{MoneyFlowHistory, MoneyFlowView};

struct ListMoneyFlowHistory;

impl HttpOperation for ListMoneyFlowHistory {
    type UseCase = MoneyFlowHistory;
    type Input = PageQuery;
    type Output = Page<MoneyFlowView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List deposits and withdrawals",
            "The caller's deposits and withdrawals with their present status, newest first.",
        )
        .response(200, "A page of the history.")
    }

    async fn handle(
        history: &MoneyFlowHistory,
        call: Call<PageQuery>,
    ) -> Result<Reply<Page<MoneyFlowView>>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&history.page(profile, call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListMoneyFlowHistory>()
}
