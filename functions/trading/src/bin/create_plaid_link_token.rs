//! `POST /trading/bank-accounts/link-token`: a token for Plaid's page.

use platform::prelude::*;
use trading::bank_link::{LinkTokenRequest, PlaidLinkTokenView, PlaidLinkTokens};

struct CreatePlaidLinkToken;

impl HttpOperation for CreatePlaidLinkToken {
    type UseCase = PlaidLinkTokens;
    type Input = LinkTokenRequest;
    type Output = PlaidLinkTokenView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Create a link token",
            "A token with which the app opens Plaid's page: to link a bank, or to mend the link of a bank account that needs it.",
        )
        .response(201, "The token.")
        .problem(404, "The bank account is not one of the caller's.")
        .problem(409, "The link has ended: link the bank again.")
    }

    async fn handle(
        use_case: &PlaidLinkTokens,
        call: Call<LinkTokenRequest>,
    ) -> Result<Reply<PlaidLinkTokenView>, Problem> {
        let profile = call.identity.profile()?;
        let token = use_case.create(profile, &call.input, call.deadline).await?;
        Reply::with_status(201, &token)
    }
}

fn main() -> ExitCode {
    serve::<CreatePlaidLinkToken>()
}
