//! How a profile is written to, which trading publishes as a view.

use domain::ids::ProfileId;
use platform::database::Database;
use platform::error::PlatformError;

use crate::Error;

/// How a profile is written to.
#[derive(Clone)]
pub(crate) struct Contact {
    pub(crate) email: String,
    pub(crate) first_name: String,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Contact(redacted)")
    }
}

/// The contact of a profile; `None` when there is no such profile.
pub(crate) async fn contact(database: &Database, profile: ProfileId) -> Result<Option<Contact>, Error> {
    let found = sqlx::query_as!(
        Contact,
        r#"SELECT email AS "email!", first_name AS "first_name!" FROM profile_contacts WHERE profile_id = $1"#,
        profile.get(),
    )
    .fetch_optional(database.pool().await?)
    .await;
    Ok(found.map_err(PlatformError::Database)?)
}

/// The code of the language that a profile reads; `None` when there is no such profile.
pub(crate) async fn language(database: &Database, profile: ProfileId) -> Result<Option<String>, Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT language AS "language!" FROM profile_contacts WHERE profile_id = $1"#,
        profile.get(),
    )
    .fetch_optional(database.pool().await?)
    .await;
    Ok(found.map_err(PlatformError::Database)?)
}
