//! `GET /billing/payment-methods`: the caller's cards, the active one first.

use commissions::payment_method::{PaymentMethodList, PaymentMethods};
use platform::prelude::*;

struct ListPaymentMethods;

impl HttpOperation for ListPaymentMethods {
    type UseCase = PaymentMethods;
    type Input = Nothing;
    type Output = PaymentMethodList;

    fn about() -> About {
        About::new(
            Method::Get,
            "List payment methods",
            "The caller's saved cards. Invoices are charged to the active one, the first.",
        )
        .response(200, "All of them.")
    }

    async fn handle(
        methods: &PaymentMethods,
        call: Call<Nothing>,
    ) -> Result<Reply<PaymentMethodList>, Problem> {
        Reply::ok(&methods.list(call.identity.profile()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListPaymentMethods>()
}
