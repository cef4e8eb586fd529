//! `POST /dealers/{cme_client_id}/bills/{bill_id}/void`: takes a bill back while nothing is paid on it.

use dealers::SCOPE;
use dealers::bill::{BillView, BillVoiding, VoidBillRequest};
use platform::prelude::*;

struct VoidBill;

impl HttpOperation for VoidBill {
    type UseCase = BillVoiding;
    type Input = VoidBillRequest;
    type Output = BillView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Void a bill",
            "Takes a bill back, here and in Billing, while nothing is paid on it; its deal can be billed anew then. One that was \
             voided stays as it is.",
        )
        .path_text("cme_client_id", 64, "The dealer as the auction's systems know him.")
        .path_id("bill_id", "The bill.")
        .response(200, "The bill is voided.")
        .problem(409, "Something is paid on the bill; the problem says what to do.")
        .problem(422, "The reason is missing or too long.")
    }

    async fn handle(bills: &BillVoiding, call: Call<VoidBillRequest>) -> Result<Reply<BillView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let (dealer, bill) = (call.path("cme_client_id")?, call.path("bill_id")?);
        let voided = bills.void(&dealer, bill, &call.input).await?;
        Reply::ok(&voided.value)
    }
}

fn main() -> ExitCode {
    serve::<VoidBill>()
}
