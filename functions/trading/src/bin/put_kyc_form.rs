//! `PUT /trading/kyc/form`: fills the form of the identity check in, in parts.

use platform::prelude::*;
use trading::kyc_form::{KycAnswers, KycFormView, KycFormWriter};

struct PutKycForm;

impl HttpOperation for PutKycForm {
    type UseCase = KycFormWriter;
    type Input = KycAnswers;
    type Output = KycFormView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Fill in the form",
            "Writes answers over those that are there; what isn't given stays. If one can't be taken, none is, and the \
             problem names all that are wrong.",
        )
        .response(200, "The form, as it is now.")
        .problem(404, "The caller's profile isn't known yet.")
        .problem(409, "The form is being checked, or is approved.")
        .problem(422, "Some answers can't be taken; `errors` names each.")
    }

    async fn handle(use_case: &KycFormWriter, call: Call<KycAnswers>) -> Result<Reply<KycFormView>, Problem> {
        let profile = call.identity.profile()?;
        let form = use_case.put(profile, &call.input).await;
        Reply::ok(&form.map_err(trading::Error::into_problem)?)
    }
}

fn main() -> ExitCode {
    serve::<PutKycForm>()
}
