//! `PUT /notifications/preferences`: where the caller's notifications go from now on.

use notifications::preference::{Preferences, PreferencesRequest, PreferencesView};
use platform::prelude::*;

struct SetNotificationPreferences;

impl HttpOperation for SetNotificationPreferences {
    type UseCase = Preferences;
    type Input = PreferencesRequest;
    type Output = PreferencesView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Set notification preferences",
            "For what happens from now on. A kind that is off in the feed is neither pushed nor mailed. Errors of charges and \
             the identity check can't be switched off in the feed.",
        )
        .response(200, "All kinds, as they are now.")
        .problem(422, "A kind is named twice, or can't be switched off in the feed.")
    }

    async fn handle(
        preferences: &Preferences,
        call: Call<PreferencesRequest>,
    ) -> Result<Reply<PreferencesView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&preferences.set(profile, &call.input).await?)
    }
}

fn main() -> ExitCode {
    serve::<SetNotificationPreferences>()
}
