//! `DELETE /trading/bank-accounts/{bank_account_id}`: unlinks a bank account.

use platform::prelude::*;
use trading::bank_link::{BankAccountList, BankUnlinks};

struct DeleteBankAccount;

impl HttpOperation for DeleteBankAccount {
    type UseCase = BankUnlinks;
    type Input = Nothing;
    type Output = BankAccountList;

    fn about() -> About {
        About::new(
            Method::Delete,
            "Unlink a bank account",
            "Unlinks the account, here, at the broker and, with the last one of a bank, at Plaid. It can be linked again.",
        )
        .path_id("bank_account_id", "The bank account.")
        .response(200, "It is unlinked; these are left.")
        .problem(409, "A deposit or withdrawal of it is under way.")
    }

    async fn handle(use_case: &BankUnlinks, call: Call<Nothing>) -> Result<Reply<BankAccountList>, Problem> {
        let profile = call.identity.profile()?;
        let id = call.path("bank_account_id")?;
        Reply::ok(&use_case.unlink(profile, id, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<DeleteBankAccount>()
}
