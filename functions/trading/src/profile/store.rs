//! Profiles.

use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use sqlx::PgConnection;

use super::view::ProfileView;
use crate::Error;

/// A profile to write.
#[derive(Debug)]
pub(super) struct ProfileRow {
    pub(super) id: ProfileId,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    /// None leaves it.
    pub(super) language: Option<String>,
}

/// What writing a profile came to.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) language: String,
    pub(super) is_new: bool,
}

/// Writes a profile, whether it is there or not.
pub(super) async fn upsert(
    connection: &mut PgConnection,
    profile: &ProfileRow,
    default_language: &str,
    now: DateTime<Utc>,
) -> Result<Put, Error> {
    let put = sqlx::query_as!(
        Put,
        r#"INSERT INTO profiles (id, email, first_name, last_name, language, created_at)
           VALUES ($1, $2, $3, $4, COALESCE($5, $6), $7)
           ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email, first_name = EXCLUDED.first_name,
               last_name = EXCLUDED.last_name, language = COALESCE($5, profiles.language)
           RETURNING language, (xmax = 0) AS "is_new!""#,
        profile.id as _,
        profile.email,
        profile.first_name,
        profile.last_name,
        profile.language,
        default_language,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(put)
}

/// Sets the language; none for a profile that isn't there.
pub(super) async fn set_language(
    connection: &mut PgConnection,
    profile: ProfileId,
    language: &str,
) -> Result<Option<ProfileView>, Error> {
    let row = sqlx::query_as!(
        ProfileView,
        r#"UPDATE profiles SET language = $2 WHERE id = $1
           RETURNING id AS "profile_id: _", email, first_name, last_name, language"#,
        profile as _,
        language,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Locks the profile for the rest of the transaction; `false` for one that isn't there.
pub(crate) async fn lock(connection: &mut PgConnection, profile: ProfileId) -> Result<bool, Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT id AS "id: ProfileId" FROM profiles WHERE id = $1 FOR UPDATE"#,
        profile as _
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Keeps the profile from being locked for the rest of the transaction; flows don't wait for each other by it. It is the lock that
/// the references of a flow's row take anyway, taken before the account's: whoever waits for the account holds it already.
pub(crate) async fn lock_for_flow(connection: &mut PgConnection, profile: ProfileId) -> Result<(), Error> {
    sqlx::query_scalar!(
        "SELECT id FROM profiles WHERE id = $1 FOR KEY SHARE",
        profile as _
    )
    .fetch_optional(connection)
    .await?;
    Ok(())
}

/// What the form of the identity check proposes.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

/// The profile's own names and address.
pub(crate) async fn names(connection: &mut PgConnection, profile: ProfileId) -> Result<Option<Names>, Error> {
    let names = sqlx::query_as!(
        Names,
        "SELECT email, first_name, last_name FROM profiles WHERE id = $1",
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(names)
}
