//! `POST /admin/withdrawals/{withdrawal_id}/reject`: an operator refuses a withdrawal that waits.

use funded_accounts::decision::WithdrawalDecisions;
use funded_accounts::decision::request::RejectionRequest;
use funded_accounts::withdrawal::view::WithdrawalView;
use platform::prelude::*;

struct RejectWithdrawal;

impl HttpOperation for RejectWithdrawal {
    type UseCase = WithdrawalDecisions;
    type Input = RejectionRequest;
    type Output = WithdrawalView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Reject a withdrawal",
            "For administrators. Refuses a withdrawal that waits, for good; its profit can be withdrawn again. Of two operators \
             the first one decides; the same rejection again changes nothing.",
        )
        .path_id("withdrawal_id", "The withdrawal.")
        .response(200, "The withdrawal is rejected.")
        .problem(404, "There is no such withdrawal.")
        .problem(409, "Somebody else has decided it, or it has ended.")
        .problem(422, "The reason is missing or too long.")
    }

    async fn handle(
        decisions: &WithdrawalDecisions,
        call: Call<RejectionRequest>,
    ) -> Result<Reply<WithdrawalView>, Problem> {
        let operator = call.identity.operator()?;
        let withdrawal = call.path("withdrawal_id")?;
        Reply::ok(&decisions.reject(&operator, withdrawal, &call.input).await?)
    }
}

fn main() -> ExitCode {
    serve::<RejectWithdrawal>()
}
