//! `PUT /notifications/preferences`: where the caller's notifications go from now on.

use std::process::ExitCode;

use notifications::preferences::{PreferenceChoice, Preferences, PreferencesView};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Object, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// The caller's choices, in the place of all made before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreferencesRequest {
    /// Each kind at most once; those that aren't named are as they usually are.
    #[schema(value_type = Vec<PreferenceChoice>, max_items = 17)]
    items: Vec<Object<PreferenceChoice>>,
}

struct SetNotificationPreferences;

impl HttpOperation for SetNotificationPreferences {
    type UseCase = Preferences;
    type Input = PreferencesRequest;
    type Output = PreferencesView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Set notification preferences",
            "For what happens from now on. What is off in the feed is neither pushed nor mailed. Errors of charges and the \
             identity check can't be switched off in the feed.",
        )
        .answer(200, "All kinds, as they are now.")
        .refusal(422, "A kind is named twice, or can't be switched off in the feed.")
    }

    async fn handle(preferences: &Preferences, call: Call<PreferencesRequest>) -> Result<Reply<PreferencesView>, Problem> {
        let profile = call.identity.profile()?;
        let choices: Vec<PreferenceChoice> = call
            .input
            .items
            .into_iter()
            .map(|Object(choice)| choice)
            .collect();
        Reply::ok(&preferences.set(profile, &choices).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<SetNotificationPreferences>()
}
