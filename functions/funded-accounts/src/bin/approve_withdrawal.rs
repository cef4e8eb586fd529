//! `POST /admin/withdrawals/{withdrawal_id}/approve`: an operator has a withdrawal paid that waits.

use funded_accounts::decision::WithdrawalApprovals;
use funded_accounts::withdrawal::view::WithdrawalView;
use platform::prelude::*;

struct ApproveWithdrawal;

impl HttpOperation for ApproveWithdrawal {
    type UseCase = WithdrawalApprovals;
    type Input = Nothing;
    type Output = WithdrawalView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Approve a withdrawal",
            "For administrators. Pays a withdrawal that waits, if it is still allowed. It is judged once more before its money \
             leaves. Of two operators the first one decides; the same approval again changes nothing.",
        )
        .path_id("withdrawal_id", "The withdrawal.")
        .response(200, "The withdrawal is approved.")
        .problem(404, "There is no such withdrawal.")
        .problem(
            409,
            "Somebody else has decided it, it has ended, or it is not allowed any more; the detail has every reason.",
        )
    }

    async fn handle(
        approvals: &WithdrawalApprovals,
        call: Call<Nothing>,
    ) -> Result<Reply<WithdrawalView>, Problem> {
        let operator = call.identity.operator()?;
        let withdrawal = call.path("withdrawal_id")?;
        Reply::ok(&approvals.approve(&operator, withdrawal).await?)
    }
}

fn main() -> ExitCode {
    serve::<ApproveWithdrawal>()
}
