//! `GET /dealers/{cme_client_id}/fast-buyout`: may a car of a price be bought for the dealer at once?

use dealers::SCOPE;
use dealers::fast_buyout::{FastBuyout, FastBuyoutQuery, FastBuyoutView};
use platform::prelude::*;

struct CheckFastBuyout;

impl HttpOperation for CheckFastBuyout {
    type UseCase = FastBuyout;
    type Input = FastBuyoutQuery;
    type Output = FastBuyoutView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Check fast buyout",
            "Whether a car of this price may be bought for the dealer at once: his deposit reaches the segment of the price, and \
             no bill for an earlier car is overdue. If not, says why, and how much the deposit lacks.",
        )
        .path_text("cme_client_id", 64, "The dealer as the auction's systems know him.")
        .response(200, "Whether it may.")
    }

    async fn handle(
        fast_buyout: &FastBuyout,
        call: Call<FastBuyoutQuery>,
    ) -> Result<Reply<FastBuyoutView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let dealer = call.path("cme_client_id")?;
        Reply::ok(&fast_buyout.check(&dealer, call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<CheckFastBuyout>()
}
