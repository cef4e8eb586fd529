//! `POST /billing/payment-methods`: takes over the card of a completed checkout session, for a client that comes back
//! before the webhook.

use std::process::ExitCode;

use commissions::checkout::MethodAdding;
use commissions::payment_methods::PaymentMethodView;
use domain::ids::StripeCheckoutSessionId;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// A payment method to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PaymentMethodRequest {
    /// The checkout session in mode `setup` that the customer has completed.
    #[schema(value_type = String, min_length = 1, max_length = 128, examples("cs_test_a1b2c3"))]
    stripe_session_id: StripeCheckoutSessionId,
}

struct AddPaymentMethod;

impl HttpOperation for AddPaymentMethod {
    type UseCase = MethodAdding;
    type Input = PaymentMethodRequest;
    type Output = PaymentMethodView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Add a payment method",
            "Takes over the card that was saved in a checkout session. The webhook does the same; whoever is first adds it, \
             once.",
        )
        .answer(200, "It was added before.")
        .answer(201, "It is added, and the active one.")
        .refusal(404, "The session is not one of the caller's.")
        .refusal(409, "The session is not completed yet.")
    }

    async fn handle(method_adding: &MethodAdding, call: Call<PaymentMethodRequest>) -> Result<Reply<PaymentMethodView>, Problem> {
        let profile = call.identity.profile()?;
        let session = call.input.stripe_session_id;
        let (method, is_new) = method_adding.add(profile, &session, call.deadline).await?;
        Reply::with_status(if is_new { 201 } else { 200 }, &method)
    }
}

fn main() -> ExitCode {
    http::serve::<AddPaymentMethod>()
}
