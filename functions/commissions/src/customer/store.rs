//! `stripe_customers`, and how a profile is reached (published by trading as `profile_contacts`).

use chrono::{DateTime, Utc};
use domain::ids::{ProfileId, StripeCustomerId};
use platform::error::PlatformError;
use sqlx::PgConnection;

use crate::Error;

/// How a profile is reached.
#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) email: String,
    pub(crate) full_name: String,
}

/// The profile's customer, if there is one.
pub(crate) async fn of_profile(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<StripeCustomerId>, Error> {
    let customer = sqlx::query_scalar!(
        r#"SELECT ref_id AS "ref_id: StripeCustomerId" FROM stripe_customers WHERE profile_id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(customer)
}

/// The profile of a customer, if it is one of ours.
pub(crate) async fn profile_of(
    connection: &mut PgConnection,
    customer: &StripeCustomerId,
) -> Result<Option<ProfileId>, Error> {
    let profile = sqlx::query_scalar!(
        r#"SELECT profile_id AS "profile_id: ProfileId" FROM stripe_customers WHERE ref_id = $1"#,
        customer as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(profile)
}

/// How the profile is reached.
pub(crate) async fn contact(connection: &mut PgConnection, profile: ProfileId) -> Result<Contact, Error> {
    let contact = sqlx::query_as!(
        Contact,
        r#"SELECT email AS "email!", full_name AS "full_name!" FROM profile_contacts WHERE profile_id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    contact.ok_or(Error::ProfileNotFound)
}

/// Saves the customer, unless one is saved already; gives the one that counts.
pub(crate) async fn save(
    connection: &mut PgConnection,
    profile: ProfileId,
    customer: &StripeCustomerId,
    now: DateTime<Utc>,
) -> Result<StripeCustomerId, Error> {
    // Not by the profile alone: of two that insert the same at once, one may meet the other at the customer's id first.
    sqlx::query!(
        "INSERT INTO stripe_customers (profile_id, ref_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        profile as _,
        customer as _,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let saved = of_profile(connection, profile).await?;
    Ok(saved.ok_or(PlatformError::Stored("stripe_customers.ref_id"))?)
}
