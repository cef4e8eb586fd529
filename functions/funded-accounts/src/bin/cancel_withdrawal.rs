//! `POST /withdrawals/{withdrawal_id}/cancel`: a trader calls a withdrawal back.

use funded_accounts::Error;
use funded_accounts::withdrawal::Withdrawals;
use funded_accounts::withdrawal::view::WithdrawalView;
use platform::prelude::*;

struct CancelWithdrawal;

impl HttpOperation for CancelWithdrawal {
    type UseCase = Withdrawals;
    type Input = Nothing;
    type Output = WithdrawalView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Cancel a withdrawal",
            "Calls a withdrawal back that nobody has approved yet. It leaves no mark, and its profit can be withdrawn again.",
        )
        .path_id("withdrawal_id", "The withdrawal.")
        .response(200, "The withdrawal is canceled, or was before.")
        .problem(404, "The withdrawal is not one of the trader's.")
        .problem(409, "The withdrawal is approved, or has ended otherwise.")
    }

    async fn handle(
        withdrawals: &Withdrawals,
        call: Call<Nothing>,
    ) -> Result<Reply<WithdrawalView>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        Reply::ok(&withdrawals.cancel(user, call.path("withdrawal_id")?).await?)
    }
}

fn main() -> ExitCode {
    serve::<CancelWithdrawal>()
}
