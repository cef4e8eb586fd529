//! `POST /payout-account/link`: the way to Stripe's page, where a trader says who he is and where to pay.

use funded_accounts::Error;
use funded_accounts::payee::Onboarding;
use funded_accounts::payee::view::PayoutAccountLinkView;
use platform::prelude::*;

struct CreatePayoutAccountLink;

impl HttpOperation for CreatePayoutAccountLink {
    type UseCase = Onboarding;
    type Input = Nothing;
    type Output = PayoutAccountLinkView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Create a link to the payout account's onboarding",
            "Makes the trader's account at Stripe unless there is one, and a link to Stripe's page about it: for the first time, \
             when something more is due, and to change the bank account. The link can be opened once, within minutes.",
        )
        .response(201, "The link.")
        .problem(404, "The user never took an assessment.")
        .problem(409, "Stripe pays nobody in the trader's country.")
    }

    async fn handle(
        onboarding: &Onboarding,
        call: Call<Nothing>,
    ) -> Result<Reply<PayoutAccountLinkView>, Problem> {
        let user = call.identity.user().map_err(Error::from)?;
        Reply::with_status(201, &onboarding.link(user, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<CreatePayoutAccountLink>()
}
