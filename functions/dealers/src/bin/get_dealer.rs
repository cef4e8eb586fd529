//! `GET /dealers/{cme_client_id}`: a dealer with his accounts.

use dealers::SCOPE;
use dealers::dealer::{DealerReader, DealerView};
use platform::prelude::*;

struct GetDealer;

impl HttpOperation for GetDealer {
    type UseCase = DealerReader;
    type Input = Nothing;
    type Output = DealerView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a dealer",
            "The dealer with his masked requisite, and his accounts: how far Billing knows them, what he owes, and what he has \
             paid beyond that.",
        )
        .path_text("cme_client_id", 64, "The dealer as the auction's systems know him.")
        .response(200, "The dealer.")
    }

    async fn handle(dealers: &DealerReader, call: Call<Nothing>) -> Result<Reply<DealerView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        Reply::ok(&dealers.get(&call.path("cme_client_id")?).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetDealer>()
}
