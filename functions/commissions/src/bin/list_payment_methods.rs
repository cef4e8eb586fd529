//! `GET /billing/payment-methods`: the caller's cards, the active one first.

use std::process::ExitCode;

use commissions::payment_methods::{PaymentMethodList, PaymentMethods};
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// Nothing is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

struct ListPaymentMethods(PaymentMethods);

impl HttpOperation for ListPaymentMethods {
    type Input = NoQuery;
    type Output = PaymentMethodList;

    fn about() -> About {
        About::new(
            Method::Get,
            "List payment methods",
            "The caller's saved cards. Invoices are charged to the active one, the first.",
        )
        .answer(200, "All of them.")
    }

    fn configure(environment: &mut Environment) -> Option<Self> {
        PaymentMethods::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<NoQuery>) -> Result<Reply<PaymentMethodList>, Problem> {
        Reply::ok(&self.0.list(call.identity.profile()?).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<ListPaymentMethods>()
}
