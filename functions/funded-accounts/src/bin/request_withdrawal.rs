//! `POST /funded-accounts/{funded_account_id}/withdraw`: a trader asks for a part of the profit.

use funded_accounts::Error;
use funded_accounts::withdrawal::WithdrawalRequests;
use funded_accounts::withdrawal::request::WithdrawalRequest;
use funded_accounts::withdrawal::view::WithdrawalView;
use platform::prelude::*;

struct RequestWithdrawal;

impl HttpOperation for RequestWithdrawal {
    type UseCase = WithdrawalRequests;
    type Input = WithdrawalRequest;
    type Output = WithdrawalView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Request a withdrawal",
            "Asks for a part of the trader's share of the realised profit. Small ones to a bank account that was paid before are \
             approved at once; others wait for a person. Its profit is reserved meanwhile.",
        )
        .idempotent()
        .path_id("funded_account_id", "The account.")
        .response(201, "The withdrawal is taken, and approved or pending.")
        .problem(404, "The account is not one of the trader's.")
        .problem(409, "It is not possible; the detail has every reason.")
    }

    async fn handle(
        requests: &WithdrawalRequests,
        call: Call<WithdrawalRequest>,
    ) -> Result<Reply<WithdrawalView>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        let (account, key) = (call.path("funded_account_id")?, call.idempotency_key()?);
        Ok(Reply::stored(
            requests.request(user, account, key, &call.input).await?,
        ))
    }
}

fn main() -> ExitCode {
    serve::<RequestWithdrawal>()
}
