//! `PUT /billing/payment-methods/{payment_method_id}/active`: invoices are charged to this card from now on.

use std::process::ExitCode;

use commissions::payment_methods::{PaymentMethodView, PaymentMethods};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Nothing, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// Nothing is to be said: `{}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

struct SetActivePaymentMethod;

impl HttpOperation for SetActivePaymentMethod {
    type UseCase = PaymentMethods;
    type Input = Nothing;
    type Output = PaymentMethodView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Set the active payment method",
            "Charges invoices to this card from now on. What was declined before is tried with it at the next run.",
        )
        .path_id("payment_method_id", "The payment method.")
        .answer(200, "It is the active one.")
        .refusal(404, "The payment method is not one of the caller's.")
    }

    async fn handle(payment_methods: &PaymentMethods, call: Call<Nothing>) -> Result<Reply<PaymentMethodView>, Problem> {
        let profile = call.identity.profile()?;
        let method = call.path("payment_method_id")?;
        Reply::ok(&payment_methods.set_active(profile, method).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<SetActivePaymentMethod>()
}
