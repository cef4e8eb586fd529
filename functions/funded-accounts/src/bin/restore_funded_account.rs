//! `POST /admin/funded-accounts/{funded_account_id}/restore`: an account that a wrong tick has closed is opened again.

use funded_accounts::Error;
use funded_accounts::account::view::LiveFundedAccountView;
use funded_accounts::restoration::Restorer;
use funded_accounts::restoration::request::RestorationRequest;
use platform::prelude::*;

struct RestoreFundedAccount;

impl HttpOperation for RestoreFundedAccount {
    type UseCase = Restorer;
    type Input = RestorationRequest;
    type Output = LiveFundedAccountView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Restore a funded account",
            "For administrators. Opens an account again as if the wrong snapshots had never come; what it held is not known \
             until the next one.",
        )
        .path_id("funded_account_id", "The account.")
        .response(200, "The account is open.")
        .problem(404, "There is no such account.")
        .problem(409, "The account is not closed, or another snapshot would close it at once.")
        .problem(422, "There is no reason, or there are too many numbers.")
    }

    async fn handle(
        restorer: &Restorer,
        call: Call<RestorationRequest>,
    ) -> Result<Reply<LiveFundedAccountView>, Problem> {
        call.identity.require_admin().map_err(Error::from)?;
        let account = call.path("funded_account_id")?;
        Reply::ok(&restorer.restore(account, call.input).await?)
    }
}

fn main() -> ExitCode {
    serve::<RestoreFundedAccount>()
}
