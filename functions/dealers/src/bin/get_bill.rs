//! `GET /dealers/{cme_client_id}/bills/{bill_id}`: a bill with the payments that paid it.

use dealers::SCOPE;
use dealers::bill::{BillReader, BillWithPaymentsView};
use platform::prelude::*;

struct GetBill;

impl HttpOperation for GetBill {
    type UseCase = BillReader;
    type Input = Nothing;
    type Output = BillWithPaymentsView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a bill",
            "One of the dealer's bills, with the payments that paid it and how much of each did.",
        )
        .path_text(
            "cme_client_id",
            64,
            "The dealer as the auction's systems know him.",
        )
        .path_id("bill_id", "The bill.")
        .response(200, "The bill.")
    }

    async fn handle(bills: &BillReader, call: Call<Nothing>) -> Result<Reply<BillWithPaymentsView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let (dealer, bill) = (call.path("cme_client_id")?, call.path("bill_id")?);
        Reply::ok(&bills.get(&dealer, bill).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetBill>()
}
