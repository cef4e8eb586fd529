//! `POST /webhooks/plaid`: Plaid's webhooks.

use std::process::ExitCode;

use platform::entry::http::serve_webhook;
use platform::http::Problem;
use platform::http::{About, Delivery, Method, Webhook};
use trading::plaid_webhook::PlaidWebhooks;

struct PlaidWebhook;

impl Webhook for PlaidWebhook {
    type UseCase = PlaidWebhooks;

    fn about() -> About {
        About::new(
            Method::Post,
            "Plaid's webhooks",
            "For Plaid alone: every delivery is signed, and taken once.",
        )
        .header("Plaid-Verification", "Plaid's signature of the body.")
        .response(200, "The webhook is taken, or was before.")
    }

    async fn handle(webhooks: &PlaidWebhooks, delivery: Delivery) -> Result<(), Problem> {
        let token = delivery.header("plaid-verification");
        Ok(webhooks.handle(token, &delivery.body, delivery.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve_webhook::<PlaidWebhook>()
}
