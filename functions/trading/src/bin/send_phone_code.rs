//! `POST /trading/kyc/phone-codes`: sends a code to a phone.

use platform::prelude::*;
use trading::phone_verification::{PhoneCodeView, PhoneCodes, SendPhoneCodeRequest};

struct SendPhoneCode;

impl HttpOperation for SendPhoneCode {
    type UseCase = PhoneCodes;
    type Input = SendPhoneCodeRequest;
    type Output = PhoneCodeView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Send a phone code",
            "Sends six digits by SMS. They are good for 5 minutes, once, for 5 tries; the next code can be sent 30 seconds \
             later, and ten within a day.",
        )
        .response(201, "The code is sent.")
        .problem(404, "The caller's profile isn't known yet.")
        .problem(409, "The last code is too young, or there were too many within a day.")
        .problem(422, "It is no number of the USA, or can't be reached.")
    }

    async fn handle(
        use_case: &PhoneCodes,
        call: Call<SendPhoneCodeRequest>,
    ) -> Result<Reply<PhoneCodeView>, Problem> {
        let profile = call.identity.profile()?;
        let sent = use_case.send(profile, &call.input, call.deadline).await?;
        Reply::with_status(201, &sent)
    }
}

fn main() -> ExitCode {
    serve::<SendPhoneCode>()
}
