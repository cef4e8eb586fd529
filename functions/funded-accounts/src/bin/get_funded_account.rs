//! `GET /funded-accounts/{funded_account_id}`: an account as it is now.

use funded_accounts::Error;
use funded_accounts::account::LiveReader;
use funded_accounts::account::view::LiveFundedAccountView;
use platform::prelude::*;

struct GetFundedAccount;

impl HttpOperation for GetFundedAccount {
    type UseCase = LiveReader;
    type Input = Nothing;
    type Output = LiveFundedAccountView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a funded account",
            "The live state over the record: figures, open positions, what each rule says and leaves room for, and what could \
             be withdrawn. While the live state can't be read the record is served, and `source` says so.",
        )
        .path_id("funded_account_id", "The account.")
        .response(200, "The account.")
        .problem(404, "The account is not one of the trader's.")
    }

    async fn handle(
        accounts: &LiveReader,
        call: Call<Nothing>,
    ) -> Result<Reply<LiveFundedAccountView>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        Reply::ok(&accounts.get(user, call.path("funded_account_id")?).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetFundedAccount>()
}
