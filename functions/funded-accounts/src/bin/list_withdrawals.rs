//! `GET /funded-accounts/{funded_account_id}/withdrawals`: an account's withdrawals, newest first.

use funded_accounts::Error;
use funded_accounts::withdrawal::AccountWithdrawals;
use funded_accounts::withdrawal::view::WithdrawalView;
use platform::prelude::*;

struct ListWithdrawals;

impl HttpOperation for ListWithdrawals {
    type UseCase = AccountWithdrawals;
    type Input = PageQuery;
    type Output = Page<WithdrawalView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List withdrawals",
            "The account's withdrawals with where each stands, newest first.",
        )
        .path_id("funded_account_id", "The account.")
        .response(200, "A page of withdrawals.")
        .problem(404, "The account is not one of the trader's.")
    }

    async fn handle(
        withdrawals: &AccountWithdrawals,
        call: Call<PageQuery>,
    ) -> Result<Reply<Page<WithdrawalView>>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        let (account, page) = (call.path("funded_account_id")?, call.input.read()?);
        Reply::ok(&withdrawals.list(user, account, page).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListWithdrawals>()
}
