//! `GET /trading/bank-accounts`: the caller's bank accounts.

use platform::prelude::*;
use trading::bank_link::{BankAccountList, LinkedBankAccounts};

struct ListBankAccounts;

impl HttpOperation for ListBankAccounts {
    type UseCase = LinkedBankAccounts;
    type Input = Nothing;
    type Output = BankAccountList;

    fn about() -> About {
        About::new(
            Method::Get,
            "List bank accounts",
            "The linked bank accounts with balances that are at most five minutes old, where the bank responds, and whether one has to \
             be signed in or linked again.",
        )
        .response(200, "The bank accounts.")
    }

    async fn handle(
        use_case: &LinkedBankAccounts,
        call: Call<Nothing>,
    ) -> Result<Reply<BankAccountList>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&use_case.list(profile, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListBankAccounts>()
}
