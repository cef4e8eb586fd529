//! `GET /clients/{client_id}/payments`: the client's payments, newest first.

use platform::prelude::*;
use wallets::client::access;
use wallets::payment::view::PaymentView;
use wallets::payment::{Payments, PaymentsQuery};

struct ListPayments;

impl HttpOperation for ListPayments {
    type UseCase = Payments;
    type Input = PaymentsQuery;
    type Output = Page<PaymentView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List payments",
            "The client's payments with their present status, newest first. With a filter a page may have fewer than `limit`, or none, \
             though others follow: `next_cursor` says so.",
        )
        .path_id("client_id", "The client.")
        .response(200, "A page of the payments.")
        .problem(404, "There is no such client, or it is another.")
    }

    async fn handle(
        payments: &Payments,
        call: Call<PaymentsQuery>,
    ) -> Result<Reply<Page<PaymentView>>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        let page = call.input.page()?;
        Reply::ok(&payments.list(client, &call.input, page).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListPayments>()
}
