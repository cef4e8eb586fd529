//! Documents that prove an identity: checked by what they are, handed on to the broker, and not kept.

mod store;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use domain::ids::{DriveWealthUserId, KycDocumentId, ProfileId};
use domain::trading::kyc::document::{self, DocumentSide, DocumentType, FileKind, MAX_DOCUMENT_BYTES};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::{self, IdempotencyKey, KeyedRequest, Progress, Replayable, StoredResponse};
use providers::drivewealth::NewDocument;
use providers::outcome::{Outcome, ProviderError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::broker::{Broker, PARTY};
use crate::{Error, onboarding, profile};

const OPERATION: &str = "add_kyc_document";
/// The most documents that a profile sends within a day.
const MAX_DOCUMENTS: i64 = 20;
const WINDOW: TimeDelta = TimeDelta::hours(24);
/// The largest request: the largest file in base64, and what is around it.
pub const MAX_REQUEST_BYTES: usize = MAX_DOCUMENT_BYTES / 3 * 4 + 4_096;

/// A document to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddKycDocumentRequest {
    /// What it is.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^(DRIVER_LICENSE|PASSPORT|NATIONAL_ID_CARD|VOTER_ID|WORK_PERMIT|VISA|RESIDENCE_PERMIT)$")]
    pub kind: DocumentType,
    /// Which side. A passport and a visa have a front alone.
    #[schema(value_type = String, pattern = "^(FRONT|BACK)$")]
    pub side: DocumentSide,
    /// A JPEG, PNG or PDF of at most 4 MB, in base64.
    #[schema(content_encoding = "base64")]
    pub content: String,
}

/// A person's document isn't for logs.
impl std::fmt::Debug for AddKycDocumentRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AddKycDocumentRequest")
            .field("kind", &self.kind)
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

/// What tells one request from another: the file by its digest.
#[derive(Serialize)]
struct Fingerprint<'a> {
    kind: DocumentType,
    side: DocumentSide,
    content: &'a str,
}

/// Sends documents.
#[derive(Debug)]
pub struct KycDocuments {
    database: Database,
    broker: Broker,
    clock: ClockHandle,
}

platform::from_environment!(KycDocuments {
    database,
    broker,
    clock
});

impl KycDocuments {
    /// Sends a document to the broker, once under its key.
    ///
    /// # Errors
    /// Rejected for a file that is none of the kinds, empty or too large, a side that there isn't, before the form was
    /// submitted, and when the broker refuses it; transient when its answer isn't known: the same request finds out.
    pub async fn add(
        &self,
        profile: ProfileId,
        key: IdempotencyKey,
        request: &AddKycDocumentRequest,
        deadline: Deadline,
    ) -> Result<Replayable<StoredResponse>, Error> {
        let file = STANDARD
            .decode(request.content.trim())
            .map_err(|_| Error::InvalidValue {
                field: "content",
                message: "is no base64".to_owned(),
            })?;
        let kind = document::check(request.kind, request.side, &file)?;
        let fingerprint = Fingerprint {
            kind: request.kind,
            side: request.side,
            content: &hex::encode(Sha256::digest(&file)),
        };
        let keyed = KeyedRequest::of_profile(profile, OPERATION, key, &fingerprint)?;
        let user = self
            .database
            .with(async |connection| store::user_of(connection, profile).await)
            .await?
            .ok_or(Error::KycNotSubmitted)?;
        match self.intend(profile, &keyed, request, kind).await? {
            Progress::Answered(response) => Ok(Replayable::replayed(response)),
            Progress::Intended(id) => {
                let data_uri = format!("data:{};base64,{}", kind.name(), STANDARD.encode(&file));
                let new = NewDocument {
                    user: &user,
                    kind: request.kind,
                    side: request.side,
                    data_uri,
                    idempotency_key: onboarding::key("document", &id.to_string()),
                };
                self.send(id, &keyed, &user, &new, deadline)
                    .await
                    .map(Replayable::new)
            }
        }
    }

    async fn intend(
        &self,
        profile: ProfileId,
        keyed: &KeyedRequest,
        request: &AddKycDocumentRequest,
        kind: FileKind,
    ) -> Result<Progress<KycDocumentId>, Error> {
        let now = self.clock.now();
        idempotency::intend(&self.database, keyed, async |connection| {
            profile::store::lock(connection, profile).await?;
            if store::count_since(connection, profile, now - WINDOW).await? >= MAX_DOCUMENTS {
                return Err(Error::TooManyDocuments);
            }
            store::insert(connection, profile, request.kind, request.side, kind, now).await
        })
        .await
    }

    async fn send(
        &self,
        id: KycDocumentId,
        keyed: &KeyedRequest,
        user: &DriveWealthUserId,
        new: &NewDocument<'_>,
        deadline: Deadline,
    ) -> Result<StoredResponse, Error> {
        let client = self.broker.client().await?;
        let outcome = client.upload_document(new, deadline.instant()).await;
        let now = self.clock.now();
        match outcome {
            Outcome::Done(document) => {
                self.database
                    .transaction(async |connection| {
                        let view = store::set_accepted(connection, id, user, &document, now).await?;
                        Ok(idempotency::store_response(connection, keyed, 201, &view).await?)
                    })
                    .await
            }
            Outcome::Declined(decline) => {
                self.database
                    .with(async |connection| store::set_declined(connection, id, now).await)
                    .await?;
                tracing::warn!(kyc_document_id = %id, code = decline.code, "the broker refused a document");
                Err(Error::DocumentRefused { code: decline.code })
            }
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                Err(ProviderError::unavailable(PARTY, &reason).into())
            }
        }
    }
}
