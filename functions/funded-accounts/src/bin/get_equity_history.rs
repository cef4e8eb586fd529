//! `GET /funded-accounts/{funded_account_id}/equity`: an account's equity over time, for a chart.

use funded_accounts::Error;
use funded_accounts::equity::EquityHistory;
use funded_accounts::equity::request::EquityQuery;
use funded_accounts::equity::view::EquityHistoryView;
use platform::prelude::*;

struct GetEquityHistory;

impl HttpOperation for GetEquityHistory {
    type UseCase = EquityHistory;
    type Input = EquityQuery;
    type Output = EquityHistoryView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get an equity history",
            "Balance, equity, peak and drawdown over a period, by the minute for 90 days and by the hour before; thinned to the \
             points that are asked for, with the lowest and the highest equity of each part.",
        )
        .path_id("funded_account_id", "The account.")
        .response(200, "The points of the period.")
        .problem(404, "The account is not one of the trader's.")
    }

    async fn handle(
        history: &EquityHistory,
        call: Call<EquityQuery>,
    ) -> Result<Reply<EquityHistoryView>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        let account = call.path("funded_account_id")?;
        let points = call.input.points()?;
        Reply::ok(&history.get(user, account, &call.input, points).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetEquityHistory>()
}
