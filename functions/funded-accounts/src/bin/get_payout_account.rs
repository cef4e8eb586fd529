//! `GET /payout-account`: how far a trader is with the account to which his money goes.

use funded_accounts::Error;
use funded_accounts::payee::Payees;
use funded_accounts::payee::view::PayoutAccountView;
use platform::prelude::*;

struct GetPayoutAccount;

impl HttpOperation for GetPayoutAccount {
    type UseCase = Payees;
    type Input = Nothing;
    type Output = PayoutAccountView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get the payout account",
            "The trader's account at Stripe: ready, or what Stripe still wants to know, in words. While Stripe can't be reached, \
             what it said before.",
        )
        .response(200, "How far it is.")
    }

    async fn handle(payees: &Payees, call: Call<Nothing>) -> Result<Reply<PayoutAccountView>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        Reply::ok(&payees.status(user, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetPayoutAccount>()
}
