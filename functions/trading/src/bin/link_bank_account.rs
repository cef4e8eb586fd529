//! `POST /trading/bank-accounts`: links a bank account that was chosen on Plaid's page.

use platform::prelude::*;
use trading::bank_link::{BankAccountView, BankLinks, LinkBankAccountRequest};

struct LinkBankAccount;

impl HttpOperation for LinkBankAccount {
    type UseCase = BankLinks;
    type Input = LinkBankAccountRequest;
    type Output = BankAccountView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Link a bank account",
            "Links an account of a visit to Plaid's page, once. Another account of the same visit takes the same public token. One that \
             is verified by small deposits stays `verifying` until they are.",
        )
        .response(201, "The account is new.")
        .response(200, "The account was linked before.")
        .problem(404, "There is no such account among those of the visit.")
        .problem(409, "It is linked already, its bank has to be linked again, or the identity check wasn't submitted.")
        .problem(422, "The public token is no good any more.")
    }

    async fn handle(
        use_case: &BankLinks,
        call: Call<LinkBankAccountRequest>,
    ) -> Result<Reply<BankAccountView>, Problem> {
        let profile = call.identity.profile()?;
        let linked = use_case.link(profile, &call.input, call.deadline).await?;
        Reply::with_status(if linked.replayed { 200 } else { 201 }, &linked.value)
    }
}

fn main() -> ExitCode {
    serve::<LinkBankAccount>()
}
