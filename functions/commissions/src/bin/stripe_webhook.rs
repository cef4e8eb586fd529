//! `POST /webhooks/stripe`: what Stripe tells by itself.

use std::process::ExitCode;

use commissions::webhook::StripeEvents;
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Delivery, Method, Webhook};

struct StripeWebhook(StripeEvents);

impl Webhook for StripeWebhook {
    fn about() -> About {
        About::new(
            Method::Post,
            "Stripe's events",
            "For Stripe alone: every delivery is signed, and taken once.",
        )
        .header("Stripe-Signature", "Stripe's signature of the body.")
        .answer(200, "The event is taken, or was before.")
    }

    fn configure(environment: &mut Environment) -> Option<Self> {
        StripeEvents::read(environment).map(Self)
    }

    async fn handle(&self, delivery: Delivery) -> Result<(), Problem> {
        let signature = delivery.header("stripe-signature");
        Ok(self.0.take(signature, &delivery.body, delivery.deadline).await?)
    }
}

fn main() -> ExitCode {
    http::serve_webhook::<StripeWebhook>()
}
