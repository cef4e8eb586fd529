//! `GET /notifications/preferences`: where the caller's notifications go, by kind.

use notifications::preference::{Preferences, PreferencesView};
use platform::prelude::*;

struct GetNotificationPreferences;

impl HttpOperation for GetNotificationPreferences {
    type UseCase = Preferences;
    type Input = Nothing;
    type Output = PreferencesView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get notification preferences",
            "Every kind of notification, and whether the caller gets it in the feed, as a push and by mail.",
        )
        .response(200, "All kinds.")
    }

    async fn handle(
        preferences: &Preferences,
        call: Call<Nothing>,
    ) -> Result<Reply<PreferencesView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&preferences.of(profile).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetNotificationPreferences>()
}
