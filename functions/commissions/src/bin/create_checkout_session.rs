//! `POST /billing/checkout-sessions`: the way to Stripe's payment page, to save a card or to pay a price.

use std::process::ExitCode;

use commissions::checkout::{CheckoutRequest, CheckoutView, Checkouts, Mode};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// A visit to the payment page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckoutSessionRequest {
    /// `setup` saves a card for commissions; `payment` pays a price.
    #[schema(value_type = String, pattern = "^(setup|payment)$", examples("setup"))]
    mode: Mode,
    /// Stripe's id of the price; in mode `payment` only.
    #[schema(min_length = 1, max_length = 128, examples("price_1MoBy5LkdIwHu7ixZhnattbh"))]
    price_id: Option<String>,
    /// Where the customer goes afterwards, on one of the app's hosts; `{CHECKOUT_SESSION_ID}` in it becomes the session's
    /// id.
    #[schema(
        min_length = 1,
        max_length = 2048,
        examples("https://app.example.com/billing?session={CHECKOUT_SESSION_ID}")
    )]
    success_url: String,
    /// Where the customer goes when turning back, on one of the app's hosts.
    #[schema(
        min_length = 1,
        max_length = 2048,
        examples("https://app.example.com/billing")
    )]
    cancel_url: String,
    /// Whether a payment is given back as soon as it is done, because it only proves the card; `false` unless given.
    #[serde(default)]
    refund: bool,
}

struct CreateCheckoutSession;

impl HttpOperation for CreateCheckoutSession {
    type UseCase = Checkouts;
    type Input = CheckoutSessionRequest;
    type Output = CheckoutView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Create a checkout session",
            "Prepares a visit to Stripe's payment page. Send the customer to `url`; what comes of it arrives by webhook, or at \
             once by adding the payment method with the session's id.",
        )
        .idempotent()
        .answer(201, "The page is ready.")
        .refusal(404, "There is no such profile.")
    }

    async fn handle(checkouts: &Checkouts, call: Call<CheckoutSessionRequest>) -> Result<Reply<CheckoutView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let input = call.input;
        let request = CheckoutRequest {
            mode: input.mode,
            price_id: input.price_id,
            success_url: input.success_url,
            cancel_url: input.cancel_url,
            refund: input.refund,
        };
        let (answer, replayed) = checkouts.create(profile, key, request, call.deadline).await?;
        Ok(Reply::kept(answer, replayed))
    }
}

fn main() -> ExitCode {
    http::serve::<CreateCheckoutSession>()
}
