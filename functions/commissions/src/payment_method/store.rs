//! `payment_methods`. The one with the newest `set_active_at` is the active one.

use chrono::{DateTime, Utc};
use domain::ids::{PaymentMethodId, ProfileId, StripePaymentMethodId};
use sqlx::PgConnection;

use super::view::PaymentMethodView;
use crate::Error;

/// A payment method that was saved.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) id: PaymentMethodId,
    pub(crate) profile_id: ProfileId,
    /// It wasn't there before.
    pub(crate) is_new: bool,
}

/// Saves a method, once: a repetition changes nothing. It is the active one from the time on at which it was saved at Stripe,
/// so that one which we hear of late doesn't take the place of what its owner has chosen since.
pub(crate) async fn save(
    connection: &mut PgConnection,
    profile: ProfileId,
    stripe_id: &StripePaymentMethodId,
    name: &str,
    active_from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Saved, Error> {
    let saved = sqlx::query_as!(
        Saved,
        r#"WITH saved AS (
               INSERT INTO payment_methods (profile_id, name, stripe_ref_id, set_active_at, created_at)
               VALUES ($1, $2, $3, $5, $4)
               ON CONFLICT (stripe_ref_id) DO NOTHING RETURNING id, profile_id
           )
           SELECT id AS "id!: _", profile_id AS "profile_id!: _", true AS "is_new!" FROM saved
           UNION ALL
           SELECT id, profile_id, false FROM payment_methods
           WHERE stripe_ref_id = $3 AND NOT EXISTS (SELECT FROM saved)"#,
        profile as _,
        name,
        stripe_id as _,
        now,
        active_from,
    )
    .fetch_optional(&mut *connection)
    .await?;
    // A concurrent save that committed after this statement began is seen by the next one.
    match saved {
        Some(saved) => Ok(saved),
        None => saved_by_another(connection, stripe_id).await,
    }
}

async fn saved_by_another(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
) -> Result<Saved, Error> {
    let saved = sqlx::query_as!(
        Saved,
        r#"SELECT id AS "id: _", profile_id AS "profile_id: _", false AS "is_new!"
           FROM payment_methods WHERE stripe_ref_id = $1"#,
        stripe_id as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(saved)
}

/// The profile's methods, the active one first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Vec<PaymentMethodView>, Error> {
    let methods = sqlx::query_as!(
        PaymentMethodView,
        r#"SELECT id AS "id: _", name, row_number() OVER newest = 1 AS "active!", set_active_at, created_at
           FROM payment_methods WHERE profile_id = $1 AND deleted_at IS NULL
           WINDOW newest AS (ORDER BY set_active_at DESC, id DESC)
           ORDER BY set_active_at DESC, id DESC"#,
        profile as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(methods)
}

/// One of the profile's methods.
///
/// # Errors
/// Not found for a method that isn't the profile's.
pub(crate) async fn find(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: PaymentMethodId,
) -> Result<PaymentMethodView, Error> {
    let mut methods = list(connection, profile).await?.into_iter();
    let method = methods.find(|found| found.id == method);
    method.ok_or(Error::PaymentMethodNotFound)
}

/// The method that a profile's invoices are charged to.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) id: PaymentMethodId,
    /// When its bank last renewed it.
    pub(crate) renewed_at: Option<DateTime<Utc>>,
}

/// The profile's active method.
pub(crate) async fn active(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<Active>, Error> {
    let method = sqlx::query_as!(
        Active,
        r#"SELECT id AS "id: _", renewed_at FROM payment_methods
           WHERE profile_id = $1 AND deleted_at IS NULL ORDER BY set_active_at DESC, id DESC LIMIT 1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(method)
}

/// Makes a method the active one; `false` when the profile has no such method. It is later than the others' whatever the
/// clock says.
pub(crate) async fn set_active(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: PaymentMethodId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE payment_methods SET set_active_at = greatest($3, \
             (SELECT max(set_active_at) + interval '1 microsecond' FROM payment_methods WHERE profile_id = $1)) \
         WHERE profile_id = $1 AND id = $2 AND deleted_at IS NULL",
        profile as _,
        method as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// A method to be deleted, locked together with the profile's others.
#[derive(Debug)]
pub(crate) struct ToDelete {
    pub(crate) stripe_id: StripePaymentMethodId,
    /// It is detached at Stripe already.
    pub(crate) is_detached: bool,
    /// It is deleted already, on our side.
    pub(crate) is_deleted: bool,
    /// It is the only one that is left.
    pub(crate) is_last: bool,
    /// The profile owes something.
    pub(crate) owes: bool,
}

/// Locks the profile's methods and reads one.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: PaymentMethodId,
) -> Result<Option<ToDelete>, Error> {
    let method = sqlx::query_as!(
        ToDelete,
        r#"WITH locked AS (
               SELECT id, stripe_ref_id, deleted_at, detached_at FROM payment_methods
               WHERE profile_id = $1 ORDER BY id FOR UPDATE
           )
           SELECT stripe_ref_id AS "stripe_id: _", detached_at IS NOT NULL AS "is_detached!",
                  deleted_at IS NOT NULL AS "is_deleted!",
                  NOT EXISTS (SELECT FROM locked WHERE id <> $2 AND deleted_at IS NULL) AS "is_last!",
                  EXISTS (SELECT FROM invoices
                          WHERE profile_id = $1 AND status IN ('open', 'uncollectible')) AS "owes!"
           FROM locked WHERE id = $2"#,
        profile as _,
        method as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(method)
}

/// Records that a method is deleted on our side; it is detached at Stripe afterwards.
pub(crate) async fn set_deleted(
    connection: &mut PgConnection,
    method: PaymentMethodId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE payment_methods SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
        method as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the method is detached at Stripe, whoever did it.
pub(crate) async fn set_detached(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE payment_methods SET detached_at = $2, deleted_at = COALESCE(deleted_at, $2) \
         WHERE stripe_ref_id = $1 AND detached_at IS NULL",
        stripe_id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records how Stripe has a method at a time, unless that is older than what is recorded. Renewed, it may be charged again.
pub(crate) async fn renew(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
    name: &str,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE payment_methods SET name = $2, renewed_at = $3 \
         WHERE stripe_ref_id = $1 AND name <> $2 AND (renewed_at IS NULL OR renewed_at <= $3)",
        stripe_id as _,
        name,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whose a method is, also one that was deleted.
pub(crate) async fn owner(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
) -> Result<Option<ProfileId>, Error> {
    let owner = sqlx::query_scalar!(
        r#"SELECT profile_id AS "profile_id: ProfileId" FROM payment_methods WHERE stripe_ref_id = $1"#,
        stripe_id as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(owner)
}
