//! `GET /trading/kyc/form`: the form of the identity check, as it is filled in.

use platform::prelude::*;
use trading::kyc_form::{KycFormReader, KycFormView};

struct GetKycForm;

impl HttpOperation for GetKycForm {
    type UseCase = KycFormReader;
    type Input = Nothing;
    type Output = KycFormView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get the form",
            "The form of the identity check as far as it is filled in. The tax id shows its last four characters only.",
        )
        .response(200, "The form.")
        .problem(404, "The caller's profile isn't known yet.")
    }

    async fn handle(use_case: &KycFormReader, call: Call<Nothing>) -> Result<Reply<KycFormView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&use_case.get(profile).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetKycForm>()
}
