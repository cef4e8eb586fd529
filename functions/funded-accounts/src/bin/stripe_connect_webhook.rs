//! `POST /webhooks/stripe/connect`: events of traders' accounts at Stripe.

use std::process::ExitCode;

use funded_accounts::stripe_events::ConnectEvents;
use platform::entry::http::serve_webhook;
use platform::http::Problem;
use platform::http::{About, Delivery, Method, Webhook};

struct StripeConnectWebhook;

impl Webhook for StripeConnectWebhook {
    type UseCase = ConnectEvents;

    fn about() -> About {
        About::new(
            Method::Post,
            "Stripe's events of connected accounts",
            "For Stripe alone: every delivery is signed with the secret of this endpoint, and taken once. Events of the other mode \
             change nothing.",
        )
        .header("Stripe-Signature", "Stripe's signature of the body.")
        .response(200, "The event is taken, or was before.")
    }

    async fn handle(events: &ConnectEvents, delivery: Delivery) -> Result<(), Problem> {
        let signature = delivery.header("stripe-signature");
        Ok(events
            .handle(signature, &delivery.body, delivery.deadline)
            .await?)
    }
}

fn main() -> ExitCode {
    serve_webhook::<StripeConnectWebhook>()
}
