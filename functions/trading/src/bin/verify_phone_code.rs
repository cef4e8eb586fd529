//! `POST /trading/kyc/phone-codes/verifications`: proves a phone number by its code.

use platform::prelude::*;
use trading::phone_verification::{PhoneCodeChecks, VerifiedPhoneView, VerifyPhoneCodeRequest};

struct VerifyPhoneCode;

impl HttpOperation for VerifyPhoneCode {
    type UseCase = PhoneCodeChecks;
    type Input = VerifyPhoneCodeRequest;
    type Output = VerifiedPhoneView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Verify a phone code",
            "Proves the number by the newest code that was sent to it. The form can be submitted with a proved number only.",
        )
        .response(201, "The number is proved.")
        .problem(422, "It isn't the code, or one that is too old, used, or was tried too often.")
    }

    async fn handle(
        use_case: &PhoneCodeChecks,
        call: Call<VerifyPhoneCodeRequest>,
    ) -> Result<Reply<VerifiedPhoneView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::with_status(201, &use_case.verify(profile, &call.input).await?)
    }
}

fn main() -> ExitCode {
    serve::<VerifyPhoneCode>()
}
