//! `POST /billing/checkout-sessions`: the way to Stripe's payment page, to save a card or to pay a price.

use commissions::checkout::{CheckoutSessionRequest, CheckoutSessions, CheckoutView};
use platform::prelude::*;

struct CreateCheckoutSession;

impl HttpOperation for CreateCheckoutSession {
    type UseCase = CheckoutSessions;
    type Input = CheckoutSessionRequest;
    type Output = CheckoutView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Create a checkout session",
            "Creates a session of Stripe's payment page. Send the customer to `url`; what comes of it arrives by webhook, or at \
             once by adding the payment method with the session's id.",
        )
        .idempotent()
        .response(201, "The page is ready.")
        .problem(404, "There is no such profile.")
    }

    async fn handle(
        sessions: &CheckoutSessions,
        call: Call<CheckoutSessionRequest>,
    ) -> Result<Reply<CheckoutView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let stored = sessions.create(profile, key, &call.input, call.deadline).await?;
        Ok(Reply::stored(stored))
    }
}

fn main() -> ExitCode {
    serve::<CreateCheckoutSession>()
}
