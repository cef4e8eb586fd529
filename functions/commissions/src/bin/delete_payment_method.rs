//! `DELETE /billing/payment-methods/{payment_method_id}`: deletes a card, here and at Stripe.

use commissions::payment_method::{self, PaymentMethodList};
use platform::prelude::*;

struct DeletePaymentMethod;

impl HttpOperation for DeletePaymentMethod {
    type UseCase = payment_method::DeletePaymentMethod;
    type Input = Nothing;
    type Output = PaymentMethodList;

    fn about() -> About {
        About::new(
            Method::Delete,
            "Delete a payment method",
            "Deletes the card; it is never charged again. The last one stays while an invoice is open.",
        )
        .path_id("payment_method_id", "The payment method.")
        .response(200, "It is deleted; these are left.")
        .problem(404, "The payment method is not one of the caller's.")
        .problem(409, "It is the last one, and an invoice is open.")
    }

    async fn handle(
        use_case: &Self::UseCase,
        call: Call<Nothing>,
    ) -> Result<Reply<PaymentMethodList>, Problem> {
        let profile = call.identity.profile()?;
        let method = call.path("payment_method_id")?;
        Reply::ok(&use_case.delete(profile, method, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<DeletePaymentMethod>()
}
