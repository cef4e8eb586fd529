//! `PUT /profiles/{profile_id}`: the company's user service brings a person in.

use platform::prelude::*;
use trading::profile::{ProfileView, Profiles, PutProfileRequest};

struct PutProfile;

impl HttpOperation for PutProfile {
    type UseCase = Profiles;
    type Input = PutProfileRequest;
    type Output = ProfileView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Put a profile",
            "Brings a user of the app in, or brings what is known of them up to date. Everything else of a profile starts \
             from this. For the company's user service, with scope `internal`.",
        )
        .path_id("profile_id", "The user's id, as the user service has it; the app's tokens carry it.")
        .response(201, "The profile is new.")
        .response(200, "The profile was there and is up to date.")
        .problem(422, "A name or the mail address is not acceptable.")
    }

    async fn handle(
        use_case: &Profiles,
        call: Call<PutProfileRequest>,
    ) -> Result<Reply<ProfileView>, Problem> {
        call.identity.require_scope("internal")?;
        let id = call.path("profile_id")?;
        let profile = use_case.put(id, &call.input).await?;
        Reply::with_status(if profile.replayed { 200 } else { 201 }, &profile.value)
    }
}

fn main() -> ExitCode {
    serve::<PutProfile>()
}
