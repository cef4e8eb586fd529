//! Documents that were sent to the broker.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthUserId, KycDocumentId, ProfileId};
use domain::trading::kyc::document::{DocumentSide, DocumentType, FileKind};
use providers::drivewealth::BrokerDocument;
use sqlx::PgConnection;

use crate::Error;
use crate::kyc_status::KycDocumentView;

/// The broker's user of a profile; none before the form was submitted.
pub(super) async fn user_of(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<DriveWealthUserId>, Error> {
    let user = sqlx::query_scalar!(
        r#"SELECT ref_id AS "ref_id: DriveWealthUserId" FROM drivewealth_users WHERE profile_id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(user)
}

/// How many documents the profile has sent since a time.
pub(super) async fn count_since(
    connection: &mut PgConnection,
    profile: ProfileId,
    since: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM kyc_documents WHERE profile_id = $1 AND created_at > $2"#,
        profile as _,
        since,
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// Writes a document down before it is sent.
pub(super) async fn insert(
    connection: &mut PgConnection,
    profile: ProfileId,
    kind: DocumentType,
    side: DocumentSide,
    file: FileKind,
    now: DateTime<Utc>,
) -> Result<KycDocumentId, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO kyc_documents (profile_id, type, side, media_type, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $5) RETURNING id AS "id: KycDocumentId""#,
        profile as _,
        kind as _,
        side as _,
        file.name(),
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(id)
}

/// The broker has the document. The check goes on, and with it the way to an account.
pub(super) async fn set_accepted(
    connection: &mut PgConnection,
    id: KycDocumentId,
    user: &DriveWealthUserId,
    document: &BrokerDocument,
    now: DateTime<Utc>,
) -> Result<KycDocumentView, Error> {
    let view = sqlx::query_as!(
        KycDocumentView,
        "UPDATE kyc_documents SET provider_state = 'accepted', ref_id = $2, updated_at = $4, \
             status = CASE WHEN provider_state = 'accepted' THEN status ELSE $3 END \
         WHERE id = $1 RETURNING id, type AS kind, side, status, created_at",
        id as _,
        document.id,
        document.status,
        now,
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE drivewealth_users SET next_step_at = $2 WHERE ref_id = $1",
        user as _,
        now
    )
    .execute(connection)
    .await?;
    Ok(view)
}

/// The broker has refused the document.
pub(super) async fn set_declined(
    connection: &mut PgConnection,
    id: KycDocumentId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE kyc_documents SET provider_state = 'declined', status = 'REJECTED', updated_at = $2 WHERE id = $1",
        id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
