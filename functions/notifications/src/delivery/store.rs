//! The contacts of profiles and of traders, which trading and funded accounts publish as views.

use domain::ids::{ProfileId, UserId};
use platform::error::PlatformError;
use sqlx::PgConnection;

use crate::recipient::Recipient;

/// How somebody is written to. Without `Debug`, so that it isn't logged.
pub(super) struct Contact {
    pub(super) email: String,
    pub(super) first_name: String,
}

/// The contact of a recipient; `None` when there is none.
pub(super) async fn contact(
    connection: &mut PgConnection,
    recipient: Recipient,
) -> Result<Option<Contact>, PlatformError> {
    match recipient {
        Recipient::Profile(profile) => of_profile(connection, profile).await,
        Recipient::Trader(user) => of_trader(connection, user).await,
    }
}

async fn of_trader(connection: &mut PgConnection, user: UserId) -> Result<Option<Contact>, PlatformError> {
    let found = sqlx::query_as!(
        Contact,
        r#"SELECT email AS "email!", first_name AS "first_name!" FROM trader_contacts WHERE user_id = $1"#,
        user as _,
    );
    Ok(found.fetch_optional(connection).await?)
}

async fn of_profile(
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
