//! `POST /billing/payment-methods`: adds the card of a completed checkout session, for a client that comes back before the
//! webhook.

use commissions::payment_method::{self, AddPaymentMethodRequest, PaymentMethodView};
use platform::prelude::*;

struct AddPaymentMethod;

impl HttpOperation for AddPaymentMethod {
    type UseCase = payment_method::AddPaymentMethod;
    type Input = AddPaymentMethodRequest;
    type Output = PaymentMethodView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Add a payment method",
            "Adds the card that was saved in a checkout session. The webhook does the same; whoever is first adds it, \
             once.",
        )
        .response(200, "It was added before.")
        .response(201, "It is added, and the active one.")
        .problem(404, "The session is not one of the caller's.")
        .problem(409, "The session is not completed yet.")
    }

    async fn handle(
        use_case: &Self::UseCase,
        call: Call<AddPaymentMethodRequest>,
    ) -> Result<Reply<PaymentMethodView>, Problem> {
        let profile = call.identity.profile()?;
        let added = use_case.add(profile, &call.input, call.deadline).await?;
        Reply::with_status(if added.is_new { 201 } else { 200 }, &added.method)
    }
}

fn main() -> ExitCode {
    serve::<AddPaymentMethod>()
}
