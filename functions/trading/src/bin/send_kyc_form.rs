//! `POST /trading/kyc/submissions`: submits the form of the identity check.

use platform::prelude::*;
use trading::kyc_status::KycStatusView;
use trading::kyc_submission::KycSubmissions;

struct SendKycForm;

impl HttpOperation for SendKycForm {
    type UseCase = KycSubmissions;
    type Input = Nothing;
    type Output = KycStatusView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Submit the form",
            "Begins the identity check, or begins it anew with corrected answers. Asking twice, or at the same time, submits the \
             form once.",
        )
        .response(202, "The form is submitted; this is the state of its check.")
        .problem(404, "The caller's profile isn't known yet.")
        .problem(409, "The form is being submitted or checked, or is approved, or one of us looks into it.")
        .problem(422, "The form isn't whole (`errors` names each field), or the broker doesn't take it.")
    }

    async fn handle(use_case: &KycSubmissions, call: Call<Nothing>) -> Result<Reply<KycStatusView>, Problem> {
        let profile = call.identity.profile()?;
        let status = use_case.submit(profile, call.deadline).await;
        Reply::with_status(202, &status.map_err(trading::Error::into_problem)?)
    }
}

fn main() -> ExitCode {
    serve::<SendKycForm>()
}
