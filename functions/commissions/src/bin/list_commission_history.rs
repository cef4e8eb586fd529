//! `GET /billing/commissions`: the commissions the caller has paid, newest first, with totals per year.

use commissions::commission_history::{CommissionHistory, CommissionHistoryView};
use platform::prelude::*;

struct ListCommissionHistory;

impl HttpOperation for ListCommissionHistory {
    type UseCase = CommissionHistory;
    type Input = PageQuery;
    type Output = CommissionHistoryView;

    fn about() -> About {
        About::new(
            Method::Get,
            "List the commission history",
            "What the caller has paid: amount, period, payment method and time, newest first; and the totals of each year.",
        )
        .response(200, "A page of the history.")
    }

    async fn handle(
        history: &CommissionHistory,
        call: Call<PageQuery>,
    ) -> Result<Reply<CommissionHistoryView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&history.page(profile, call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListCommissionHistory>()
}
