//! `GET /notifications/preferences`: where the caller's notifications go, by kind.

use std::process::ExitCode;

use notifications::preferences::{Preferences, PreferencesView};
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// Nothing to ask for: the profile is the caller's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct GetNotificationPreferences(Preferences);

impl HttpOperation for GetNotificationPreferences {
    type Input = NoInput;
    type Output = PreferencesView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get notification preferences",
            "Every kind of notification, and whether the caller gets it in the feed, as a push and by mail.",
        )
        .answer(200, "All kinds.")
    }

    fn configure(environment: &mut Environment) -> Option<Self> {
        Preferences::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<NoInput>) -> Result<Reply<PreferencesView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&self.0.of(profile).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<GetNotificationPreferences>()
}
