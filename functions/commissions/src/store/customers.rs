//! Profiles as customers of Stripe.

use domain::ids::{ProfileId, StripeCustomerId};
use platform::error::PlatformError;
use sqlx::PgConnection;

use super::outside_id;
use crate::Error;

/// What Stripe is told of a profile. Trading publishes it.
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
    let found = sqlx::query_scalar!(
        "SELECT ref_id FROM stripe_customers WHERE profile_id = $1",
        profile.get()
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.map(outside_id).transpose()?)
}

/// The profile of a customer, if it is one of ours.
pub(crate) async fn profile_of(
    connection: &mut PgConnection,
    customer: &StripeCustomerId,
) -> Result<Option<ProfileId>, Error> {
    let found = sqlx::query_scalar!(
        "SELECT profile_id FROM stripe_customers WHERE ref_id = $1",
        customer.as_str()
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.map(super::id).transpose()?)
}

/// How the profile is reached.
pub(crate) async fn contact(connection: &mut PgConnection, profile: ProfileId) -> Result<Contact, Error> {
    let contact = sqlx::query_as!(
        Contact,
        r#"SELECT email AS "email!", full_name AS "full_name!" FROM profile_contacts WHERE profile_id = $1"#,
        profile.get(),
    )
    .fetch_optional(connection)
    .await?;
    contact.ok_or(Error::ProfileNotFound)
}

/// Keeps the customer, unless one is kept already; gives the one that counts.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    profile: ProfileId,
    customer: &StripeCustomerId,
) -> Result<StripeCustomerId, Error> {
    // Not by the profile alone: of two that insert the same at once, one may meet the other at the customer's id first.
    sqlx::query!(
        "INSERT INTO stripe_customers (profile_id, ref_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        profile.get(),
        customer.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    let kept = of_profile(connection, profile).await?;
    Ok(kept.ok_or(PlatformError::Stored("stripe_customers.ref_id"))?)
}
