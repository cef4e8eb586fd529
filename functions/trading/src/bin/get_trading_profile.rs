//! `GET /trading/profile`: the caller's trading account at a glance.

use platform::prelude::*;
use trading::account::{TradingProfileView, TradingProfiles};

struct GetTradingProfile;

impl HttpOperation for GetTradingProfile {
    type UseCase = TradingProfiles;
    type Input = Nothing;
    type Output = TradingProfileView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get the trading profile",
            "The caller's account with balances, buying power and withdrawable cash, and whether deposits are suspended.",
        )
        .response(200, "The profile.")
        .problem(404, "The caller has no trading account yet.")
    }

    async fn handle(
        profiles: &TradingProfiles,
        call: Call<Nothing>,
    ) -> Result<Reply<TradingProfileView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&profiles.get(profile).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetTradingProfile>()
}
