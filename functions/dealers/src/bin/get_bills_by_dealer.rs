//! `GET /dealers/{cme_client_id}/bills`: what a dealer has to pay.

use dealers::SCOPE;
use dealers::bill::{BillReader, BillsQuery, BillsView};
use platform::prelude::*;

struct GetBillsByDealer;

impl HttpOperation for GetBillsByDealer {
    type UseCase = BillReader;
    type Input = BillsQuery;
    type Output = BillsView;

    fn about() -> About {
        About::new(
            Method::Get,
            "List a dealer's bills",
            "What the dealer has to pay, or his bills of a status, oldest first, with the addresses of their PDFs; and the sums \
             over all of his bills.",
        )
        .path_text("cme_client_id", 64, "The dealer as the auction's systems know him.")
        .response(200, "A page of the bills.")
    }

    async fn handle(bills: &BillReader, call: Call<BillsQuery>) -> Result<Reply<BillsView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let dealer = call.path("cme_client_id")?;
        Reply::ok(&bills.page(&dealer, call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetBillsByDealer>()
}
