//! `POST /dealers/{cme_client_id}/bills`: puts a bill on a dealer's account.

use dealers::SCOPE;
use dealers::bill::{BillView, Bills, CreateBillRequest};
use platform::prelude::*;

struct CreateBill;

impl HttpOperation for CreateBill {
    type UseCase = Bills;
    type Input = CreateBillRequest;
    type Output = BillView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Bill a dealer",
            "Puts a bill on the dealer's account: our commission for a deal, or the price of a car bought for him. Billing makes \
             it afterwards (`issued`, with `url`); a balance of the account pays it at once. There is one bill for each operation \
             and deal: the same again gives it.",
        )
        .path_text("cme_client_id", 64, "The dealer as the auction's systems know him.")
        .response(201, "The bill is written down.")
        .response(200, "The deal was billed before, with the same amount.")
        .problem(
            409,
            "The deal is billed with another amount or to another dealer, or the dealer has no account for this.",
        )
        .problem(422, "The amount is out of range, is missing, or belongs to the other operation.")
    }

    async fn handle(bills: &Bills, call: Call<CreateBillRequest>) -> Result<Reply<BillView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let dealer = call.path("cme_client_id")?;
        let created = bills.create(&dealer, &call.input).await?;
        let status = if created.replayed { 200 } else { 201 };
        Reply::with_status(status, &created.value)
    }
}

fn main() -> ExitCode {
    serve::<CreateBill>()
}
