//! Reports of the identity check's state.

use chrono::{DateTime, Utc};
use domain::ids::{KycStatusId, ProfileId};
use domain::trading::kyc::status::{KycReport, KycStatus};
use sqlx::PgConnection;

use super::current::Current;
use super::view::KycDocumentView;
use crate::Error;

/// What is known of the profile's check; none for a profile that isn't there.
pub(crate) async fn current(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<Current>, Error> {
    let row = sqlx::query!(
        r#"SELECT newest.id AS "id?: KycStatusId", newest.status AS "status?: KycStatus", newest.as_of AS "as_of?",
                  newest.error_codes AS "error_codes?",
                  CASE WHEN kyc_forms.submission_state IN ('intended', 'sent', 'parked')
                            AND kyc_forms.status_before IS NOT DISTINCT FROM newest.id
                       THEN kyc_forms.submitted_at END AS under_way_since
           FROM profiles LEFT JOIN kyc_forms ON kyc_forms.profile_id = profiles.id
           LEFT JOIN LATERAL (
               SELECT id, status, as_of, error_codes FROM kyc_statuses WHERE kyc_statuses.profile_id = profiles.id
               ORDER BY as_of DESC, id DESC LIMIT 1
           ) AS newest ON true
           WHERE profiles.id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let report = row.status.zip(row.as_of).map(|(status, as_of)| KycReport {
            status,
            as_of,
            errors: row.error_codes.unwrap_or_default(),
        });
        Current {
            newest: row.id.zip(report),
            under_way_since: row.under_way_since,
        }
    }))
}

/// Adds a report.
pub(super) async fn insert(
    connection: &mut PgConnection,
    profile: ProfileId,
    report: &KycReport,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO kyc_statuses (profile_id, status, message, error_codes, as_of, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        profile as _,
        report.status as _,
        report.status.message(),
        &report.errors,
        report.as_of,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Erases the tax id, which nobody needs any more.
pub(super) async fn erase_tax_id(connection: &mut PgConnection, profile: ProfileId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE kyc_forms SET tax_id_sealed = NULL, tax_id_last_four = NULL WHERE profile_id = $1",
        profile as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The most documents that are shown.
const MAX_DOCUMENTS: i64 = 50;

/// The documents that the profile has sent, newest first.
pub(super) async fn documents(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Vec<KycDocumentView>, Error> {
    let documents = sqlx::query_as!(
        KycDocumentView,
        "SELECT id, type AS kind, side, status, created_at FROM kyc_documents WHERE profile_id = $1 \
         ORDER BY id DESC LIMIT $2",
        profile as _,
        MAX_DOCUMENTS,
    )
    .fetch_all(connection)
    .await?;
    Ok(documents)
}
