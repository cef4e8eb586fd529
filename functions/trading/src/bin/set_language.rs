//! `PUT /profile/language`: the language that the caller is written to in.

use platform::prelude::*;
use trading::profile::{ProfileView, Profiles, SetLanguageRequest};

struct SetLanguage;

impl HttpOperation for SetLanguage {
    type UseCase = Profiles;
    type Input = SetLanguageRequest;
    type Output = ProfileView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Set the language",
            "Notifications and mails come in this language from now on, or in English where they aren't translated.",
        )
        .response(200, "The profile, with its language.")
        .problem(404, "The caller's profile isn't known yet.")
    }

    async fn handle(
        use_case: &Profiles,
        call: Call<SetLanguageRequest>,
    ) -> Result<Reply<ProfileView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&use_case.set_language(profile, &call.input).await?)
    }
}

fn main() -> ExitCode {
    serve::<SetLanguage>()
}
