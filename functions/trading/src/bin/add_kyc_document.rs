//! `POST /trading/kyc/documents`: sends a document that proves an identity.

use platform::prelude::*;
use trading::kyc_document::{AddKycDocumentRequest, KycDocuments, MAX_REQUEST_BYTES};
use trading::kyc_status::KycDocumentView;

struct AddKycDocument;

impl HttpOperation for AddKycDocument {
    type UseCase = KycDocuments;
    type Input = AddKycDocumentRequest;
    type Output = KycDocumentView;

    const BODY_LIMIT_BYTES: usize = MAX_REQUEST_BYTES;

    fn about() -> About {
        About::new(
            Method::Post,
            "Send a document",
            "Hands a document on to the broker, which begins the check anew where one was wanted. The file is told by its first \
             bytes, and isn't kept.",
        )
        .idempotent()
        .response(201, "The broker has the document; its verdict stands in the check's status.")
    }

    async fn handle(
        use_case: &KycDocuments,
        call: Call<AddKycDocumentRequest>,
    ) -> Result<Reply<KycDocumentView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let stored = use_case.add(profile, key, &call.input, call.deadline).await?;
        Ok(Reply::stored(stored))
    }
}

fn main() -> ExitCode {
    serve::<AddKycDocument>()
}
