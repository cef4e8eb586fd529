//! `POST /webhooks/stripe`: Stripe's events.

use std::process::ExitCode;

use commissions::stripe_events::StripeEvents;
use platform::entry::http::serve_webhook;
use platform::http::Problem;
use platform::http::{About, Delivery, Method, Webhook};

struct StripeWebhook;

impl Webhook for StripeWebhook {
    type UseCase = StripeEvents;

    fn about() -> About {
        About::new(
            Method::Post,
            "Stripe's events",
            "For Stripe alone: every delivery is signed, and taken once.",
        )
        .header("Stripe-Signature", "Stripe's signature of the body.")
        .response(200, "The event is taken, or was before.")
    }

    async fn handle(events: &StripeEvents, delivery: Delivery) -> Result<(), Problem> {
        let signature = delivery.header("stripe-signature");
        Ok(events
            .handle(signature, &delivery.body, delivery.deadline)
            .await?)
    }
}

fn main() -> ExitCode {
    serve_webhook::<StripeWebhook>()
}
