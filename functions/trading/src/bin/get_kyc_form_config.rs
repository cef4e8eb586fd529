//! `GET /trading/kyc/form-config`: what the form of the identity check asks for.

use platform::prelude::*;
use trading::kyc_form::{KycFormConfigView, KycForms};

struct GetKycFormConfig;

impl HttpOperation for GetKycFormConfig {
    type UseCase = KycForms;
    type Input = Nothing;
    type Output = KycFormConfigView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get the form's configuration",
            "The fields of the identity check's form: what each takes, whether it is needed, its choices, and what to propose.",
        )
        .response(200, "The configuration, for the caller.")
        .problem(404, "The caller's profile isn't known yet.")
    }

    async fn handle(use_case: &KycForms, call: Call<Nothing>) -> Result<Reply<KycFormConfigView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&use_case.config(profile).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetKycFormConfig>()
}
