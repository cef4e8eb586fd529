//! `GET /trading/kyc/status`: the state of the identity check.

use platform::prelude::*;
use trading::kyc_status::{KycStatusView, KycStatuses};

struct GetKycStatus;

impl HttpOperation for GetKycStatus {
    type UseCase = KycStatuses;
    type Input = Nothing;
    type Output = KycStatusView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get the check's status",
            "The state of the identity check, what it has found with what the person can do about it, and the documents that \
             were sent.",
        )
        .response(200, "The state.")
        .problem(404, "The caller's profile isn't known yet.")
    }

    async fn handle(use_case: &KycStatuses, call: Call<Nothing>) -> Result<Reply<KycStatusView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&use_case.get(profile).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetKycStatus>()
}
