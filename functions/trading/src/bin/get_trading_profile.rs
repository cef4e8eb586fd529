//! `GET /trading/profile`: the caller's trading account at a glance.

use std::process::ExitCode;

use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use trading::profile::{TradingProfile, TradingProfiles};
use utoipa::ToSchema;

/// Nothing to ask for: the profile is the caller's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct GetTradingProfile(TradingProfiles);

impl HttpOperation for GetTradingProfile {
    type Input = NoInput;
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

    fn configure(environment: &mut Environment) -> Option<Self> {
        TradingProfiles::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<NoInput>) -> Result<Reply<TradingProfile>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&self.0.get(profile).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<GetTradingProfile>()
}
