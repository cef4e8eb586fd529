//! `POST /dealers/{cme_client_id}/fast-buyout`: opens a dealer's DEPOSIT and SETTLEMENT accounts.

use dealers::SCOPE;
use dealers::dealer::{DealerView, Dealers};
use platform::prelude::*;

struct AddFastBuyout;

impl HttpOperation for AddFastBuyout {
    type UseCase = Dealers;
    type Input = Nothing;
    type Output = DealerView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Add fast buyout",
            "Opens the accounts that fast buyout takes: DEPOSIT, on which money lies that opens a segment of prices, and \
             SETTLEMENT, on which cars are billed. Takes an empty object.",
        )
        .path_text("cme_client_id", 64, "The dealer as the auction's systems know him.")
        .response(201, "The accounts are opened.")
        .response(200, "They were open before.")
    }

    async fn handle(dealers: &Dealers, call: Call<Nothing>) -> Result<Reply<DealerView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let dealer = call.path("cme_client_id")?;
        let opened = dealers.add_fast_buyout(&dealer).await?;
        let status = if opened.replayed { 200 } else { 201 };
        Reply::with_status(status, &opened.value)
    }
}

fn main() -> ExitCode {
    serve::<AddFastBuyout>()
}
