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
        r#"SELECT ref_id AS "ref_id: StripeCustomerId" FROM stripe_customers
           WHERE profile_id = $1 AND gone_at IS NULL"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(customer)
}

/// The profile's customer that Stripe has no more, until there is another one.
pub(crate) async fn gone(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<StripeCustomerId>, Error> {
    let customer = sqlx::query_scalar!(
        r#"SELECT ref_id AS "ref_id: StripeCustomerId" FROM stripe_customers
           WHERE profile_id = $1 AND gone_at IS NOT NULL"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(customer)
}

/// Records that Stripe has no such customer any more; its payment methods went with it.
pub(crate) async fn set_gone(
    connection: &mut PgConnection,
    profile: ProfileId,
    customer: &StripeCustomerId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "WITH gone AS ( \
             UPDATE stripe_customers SET gone_at = $3 WHERE profile_id = $1 AND ref_id = $2 AND gone_at IS NULL \
             RETURNING profile_id \
         ) \
         UPDATE payment_methods SET deleted_at = COALESCE(deleted_at, $3), detached_at = COALESCE(detached_at, $3) \
         FROM gone WHERE payment_methods.profile_id = gone.profile_id",
        profile as _,
        customer as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
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
    sqlx::query!(
        "UPDATE stripe_customers SET ref_id = $2, created_at = $3, gone_at = NULL \
         WHERE profile_id = $1 AND gone_at IS NOT NULL",
        profile as _,
        customer as _,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let saved = of_profile(connection, profile).await?;
    Ok(saved.ok_or(PlatformError::Stored("stripe_customers.ref_id"))?)
}
