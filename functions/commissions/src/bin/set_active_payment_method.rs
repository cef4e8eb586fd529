//! `PUT /billing/payment-methods/{payment_method_id}/active`: invoices are charged to this card from now on.

use std::process::ExitCode;

use commissions::payment_methods::{PaymentMethodView, PaymentMethods};
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// Nothing is to be said: `{}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

struct SetActivePaymentMethod(PaymentMethods);

impl HttpOperation for SetActivePaymentMethod {
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

    fn configure(environment: &mut Environment) -> Option<Self> {
        PaymentMethods::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<Nothing>) -> Result<Reply<PaymentMethodView>, Problem> {
        let profile = call.identity.profile()?;
        let method = call.path("payment_method_id")?;
        Reply::ok(&self.0.set_active(profile, method).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<SetActivePaymentMethod>()
}
