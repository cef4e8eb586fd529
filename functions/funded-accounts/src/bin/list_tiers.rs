//! `GET /tiers`: what is offered.

use funded_accounts::Error;
use funded_accounts::tier::Tiers;
use funded_accounts::tier::view::TierView;
use platform::prelude::*;

struct ListTiers;

impl HttpOperation for ListTiers {
    type UseCase = Tiers;
    type Input = PageQuery;
    type Output = Page<TierView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List tiers",
            "What is offered to traders, by the tiers' ids. For traders and for services with scope `internal`.",
        )
        .response(200, "A page of tiers.")
    }

    async fn handle(tiers: &Tiers, call: Call<PageQuery>) -> Result<Reply<Page<TierView>>, Problem> {
        if call.identity.user().is_err() {
            call.identity.require_scope("internal").map_err(Error::from)?;
        }
        Reply::ok(&tiers.list(call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListTiers>()
}
