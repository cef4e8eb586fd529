//! `GET /trading/profile`: the caller's trading account at a glance.

use std::process::ExitCode;

use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Nothing, Reply};
use trading::profile::{TradingProfile, TradingProfiles};

struct GetTradingProfile;

impl HttpOperation for GetTradingProfile {
    type UseCase = TradingProfiles;
    type Input = Nothing;
    type Output = TradingProfile;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get the trading profile",
            "The caller's account with balances, buying power and withdrawable cash, and whether deposits are suspended.",
        )
        .answer(200, "The profile.")
        .refusal(404, "The caller has no trading account yet.")
    }

    async fn handle(trading_profiles: &TradingProfiles, call: Call<Nothing>) -> Result<Reply<TradingProfile>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&trading_profiles.get(profile).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<GetTradingProfile>()
}
