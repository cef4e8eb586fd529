//! `DELETE /billing/payment-methods/{payment_method_id}`: deletes a card, here and at Stripe.

use std::process::ExitCode;

use commissions::payment_methods::{MethodDeleting, PaymentMethodList};
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// Nothing is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

struct DeletePaymentMethod(MethodDeleting);

impl HttpOperation for DeletePaymentMethod {
    type Input = NoQuery;
    type Output = PaymentMethodList;

    fn about() -> About {
        About::new(
            Method::Delete,
            "Delete a payment method",
            "Deletes the card; it is never charged again. The last one stays while an invoice is open.",
        )
        .path_id("payment_method_id", "The payment method.")
        .answer(200, "It is deleted; these are left.")
        .refusal(404, "The payment method is not one of the caller's.")
        .refusal(409, "It is the last one, and an invoice is open.")
    }

    fn configure(environment: &mut Environment) -> Option<Self> {
        MethodDeleting::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<NoQuery>) -> Result<Reply<PaymentMethodList>, Problem> {
        let profile = call.identity.profile()?;
        let method = call.path("payment_method_id")?;
        Reply::ok(&self.0.delete(profile, method, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<DeletePaymentMethod>()
}
