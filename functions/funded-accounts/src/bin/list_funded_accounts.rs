//! `GET /funded-accounts`: a trader's accounts.

use funded_accounts::Error;
use funded_accounts::account::Accounts;
use funded_accounts::account::view::FundedAccountView;
use platform::prelude::*;

struct ListFundedAccounts;

impl HttpOperation for ListFundedAccounts {
    type UseCase = Accounts;
    type Input = PageQuery;
    type Output = Page<FundedAccountView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List funded accounts",
            "The trader's accounts, the newest activation first, with their tiers and figures as they were recorded last.",
        )
        .response(200, "A page of accounts.")
    }

    async fn handle(
        accounts: &Accounts,
        call: Call<PageQuery>,
    ) -> Result<Reply<Page<FundedAccountView>>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        Reply::ok(&accounts.list(user, call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListFundedAccounts>()
}
