//! `PUT /billing/payment-methods/{payment_method_id}/active`: invoices are charged to this card from now on.

use commissions::payment_method::{PaymentMethodView, PaymentMethods};
use platform::prelude::*;

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
        .response(200, "It is the active one.")
        .problem(404, "The payment method is not one of the caller's.")
    }

    async fn handle(
        methods: &PaymentMethods,
        call: Call<Nothing>,
    ) -> Result<Reply<PaymentMethodView>, Problem> {
        let profile = call.identity.profile()?;
        let method = call.path("payment_method_id")?;
        Reply::ok(&methods.set_active(profile, method).await?)
    }
}

fn main() -> ExitCode {
    serve::<SetActivePaymentMethod>()
}
