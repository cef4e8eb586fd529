//! Forms of the identity check.

use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use domain::trading::kyc::form::Form;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// A form with what is beside it.
#[derive(Debug, Default)]
pub(crate) struct StoredForm {
    pub(crate) form: Form,
    pub(crate) tax_id_sealed: Option<Vec<u8>>,
    pub(crate) tax_id_last_four: Option<String>,
    pub(crate) updated_at: Option<DateTime<Utc>>,
    /// Whether the form's phone number is proved.
    pub(crate) phone_is_verified: bool,
}

/// The profile's form; an empty one before it is filled in.
pub(crate) async fn load(connection: &mut PgConnection, profile: ProfileId) -> Result<StoredForm, Error> {
    let row = sqlx::query!(
        r#"SELECT answers AS "answers: Json<Form>", tax_id_sealed, tax_id_last_four, updated_at,
                  EXISTS (SELECT 1 FROM phone_verifications
                          WHERE phone_verifications.profile_id = kyc_forms.profile_id AND verified_at IS NOT NULL
                            AND phone_number = answers ->> 'phone_number') AS "phone_is_verified!"
           FROM kyc_forms WHERE profile_id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map_or_else(StoredForm::default, |row| StoredForm {
        form: row.answers.0,
        tax_id_sealed: row.tax_id_sealed,
        tax_id_last_four: row.tax_id_last_four,
        updated_at: Some(row.updated_at),
        phone_is_verified: row.phone_is_verified,
    }))
}

/// A tax id to keep.
#[derive(Debug)]
pub(super) struct SealedTaxId {
    pub(super) sealed: Vec<u8>,
    pub(super) last_four: String,
}

/// Saves the form; the tax id stays unless there is another.
pub(super) async fn save(
    connection: &mut PgConnection,
    profile: ProfileId,
    form: &Form,
    tax_id: Option<&SealedTaxId>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO kyc_forms (profile_id, answers, tax_id_sealed, tax_id_last_four, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $5) \
         ON CONFLICT (profile_id) DO UPDATE SET answers = EXCLUDED.answers, \
             tax_id_sealed = COALESCE(EXCLUDED.tax_id_sealed, kyc_forms.tax_id_sealed), \
             tax_id_last_four = COALESCE(EXCLUDED.tax_id_last_four, kyc_forms.tax_id_last_four), \
             updated_at = EXCLUDED.updated_at",
        profile as _,
        Json(form) as _,
        tax_id.map(|tax_id| tax_id.sealed.as_slice()),
        tax_id.map(|tax_id| tax_id.last_four.as_str()),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
