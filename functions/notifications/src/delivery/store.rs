//! The contacts of profiles, which trading publishes as a view.

use domain::ids::ProfileId;
use platform::error::PlatformError;
use sqlx::PgConnection;

/// How a profile is written to. Without `Debug`, so that it isn't logged.
pub(super) struct Contact {
    pub(super) email: String,
    pub(super) first_name: String,
}

/// The contact of a profile; `None` when there is no such profile.
pub(super) async fn contact(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<Contact>, PlatformError> {
    let found = sqlx::query_as!(
        Contact,
        r#"SELECT email AS "email!", first_name AS "first_name!" FROM profile_contacts WHERE profile_id = $1"#,
        profile as _,
    );
    Ok(found.fetch_optional(connection).await?)
}

/// The code of the language that a profile reads; `None` when there is no such profile.
pub(super) async fn language(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<String>, PlatformError> {
    let found = sqlx::query_scalar!(
        r#"SELECT language AS "language!" FROM profile_contacts WHERE profile_id = $1"#,
        profile as _,
    );
    Ok(found.fetch_optional(connection).await?)
}
