//! Payment methods. The one with the newest `set_active_at` is the active one.

use chrono::{DateTime, Utc};
use domain::ids::{PaymentMethodId, ProfileId, StripePaymentMethodId};
use sqlx::PgConnection;

use super::{id, outside_id};
use crate::Error;

/// A payment method that is neither deleted nor detached.
#[derive(Debug, Clone)]
pub(crate) struct Method {
    pub(crate) id: PaymentMethodId,
    pub(crate) name: String,
    pub(crate) set_active_at: DateTime<Utc>,
    /// When its bank renewed it.
    pub(crate) renewed_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
}

struct MethodRow {
    id: i64,
    name: String,
    set_active_at: DateTime<Utc>,
    renewed_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<MethodRow> for Method {
    type Error = Error;

    fn try_from(row: MethodRow) -> Result<Self, Error> {
        Ok(Self {
            id: id(row.id)?,
            name: row.name,
            set_active_at: row.set_active_at,
            renewed_at: row.renewed_at,
            created_at: row.created_at,
        })
    }
}

/// What came of saving a method.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) id: PaymentMethodId,
    pub(crate) profile_id: ProfileId,
    /// It wasn't there before.
    pub(crate) is_new: bool,
}

/// Saves a method as the active one, once: a repetition changes nothing.
pub(crate) async fn save(
    connection: &mut PgConnection,
    profile: ProfileId,
    stripe_id: &StripePaymentMethodId,
    name: &str,
) -> Result<Saved, Error> {
    let row = sqlx::query!(
        r#"WITH saved AS (
               INSERT INTO payment_methods (profile_id, name, stripe_ref_id) VALUES ($1, $2, $3)
               ON CONFLICT (stripe_ref_id) DO NOTHING RETURNING id, profile_id
           )
           SELECT id AS "id!", profile_id AS "profile_id!", true AS "is_new!" FROM saved
           UNION ALL
           SELECT id, profile_id, false FROM payment_methods
           WHERE stripe_ref_id = $3 AND NOT EXISTS (SELECT FROM saved)"#,
        profile.get(),
        name,
        stripe_id.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    // A concurrent save that committed after this statement began is seen by the next one.
    let Some(row) = row else {
        return saved_by_another(connection, stripe_id).await;
    };
    Ok(Saved {
        id: id(row.id)?,
        profile_id: id(row.profile_id)?,
        is_new: row.is_new,
    })
}

async fn saved_by_another(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
) -> Result<Saved, Error> {
    let row = sqlx::query!(
        "SELECT id, profile_id FROM payment_methods WHERE stripe_ref_id = $1",
        stripe_id.as_str(),
    )
    .fetch_one(connection)
    .await?;
    Ok(Saved {
        id: id(row.id)?,
        profile_id: id(row.profile_id)?,
        is_new: false,
    })
}

/// The profile's methods, the active one first.
pub(crate) async fn list(connection: &mut PgConnection, profile: ProfileId) -> Result<Vec<Method>, Error> {
    let rows = sqlx::query_as!(
        MethodRow,
        "SELECT id, name, set_active_at, renewed_at, created_at FROM payment_methods \
         WHERE profile_id = $1 AND deleted_at IS NULL ORDER BY set_active_at DESC, id DESC",
        profile.get(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Method::try_from).collect()
}

/// The profile's active method.
pub(crate) async fn active(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<Method>, Error> {
    let row = sqlx::query_as!(
        MethodRow,
        "SELECT id, name, set_active_at, renewed_at, created_at FROM payment_methods \
         WHERE profile_id = $1 AND deleted_at IS NULL ORDER BY set_active_at DESC, id DESC LIMIT 1",
        profile.get(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Method::try_from).transpose()
}

/// Makes a method the active one; `false` when the profile has no such method. It is later than the others' whatever the
/// clock says.
pub(crate) async fn set_active(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: PaymentMethodId,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE payment_methods SET set_active_at = greatest(clock_timestamp(), \
             (SELECT max(set_active_at) + interval '1 microsecond' FROM payment_methods WHERE profile_id = $1)) \
         WHERE profile_id = $1 AND id = $2 AND deleted_at IS NULL",
        profile.get(),
        method.get(),
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// A method to be deleted, locked together with the profile's others.
#[derive(Debug)]
pub(crate) struct ToDelete {
    pub(crate) stripe_id: StripePaymentMethodId,
    /// Stripe knows already.
    pub(crate) is_detached: bool,
    /// It is deleted already, on our side.
    pub(crate) is_deleted: bool,
    /// It is the only one that is left.
    pub(crate) is_last: bool,
    /// The profile owes something.
    pub(crate) owes: bool,
}

/// Locks the profile's methods and looks at one.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: PaymentMethodId,
) -> Result<Option<ToDelete>, Error> {
    let row = sqlx::query!(
        r#"WITH locked AS (
               SELECT id, stripe_ref_id, deleted_at, detached_at FROM payment_methods
               WHERE profile_id = $1 ORDER BY id FOR UPDATE
           )
           SELECT stripe_ref_id, detached_at IS NOT NULL AS "is_detached!", deleted_at IS NOT NULL AS "is_deleted!",
                  NOT EXISTS (SELECT FROM locked WHERE id <> $2 AND deleted_at IS NULL) AS "is_last!",
                  EXISTS (SELECT FROM invoices
                          WHERE profile_id = $1 AND status IN ('open', 'uncollectible')) AS "owes!"
           FROM locked WHERE id = $2"#,
        profile.get(),
        method.get(),
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(ToDelete {
        stripe_id: outside_id(row.stripe_ref_id)?,
        is_detached: row.is_detached,
        is_deleted: row.is_deleted,
        is_last: row.is_last,
        owes: row.owes,
    }))
}

/// Deletes a method on our side; Stripe is told afterwards.
pub(crate) async fn delete(connection: &mut PgConnection, method: PaymentMethodId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE payment_methods SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL",
        method.get(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the method is detached at Stripe, whoever did it.
pub(crate) async fn set_detached(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE payment_methods SET detached_at = now(), deleted_at = COALESCE(deleted_at, now()) \
         WHERE stripe_ref_id = $1 AND detached_at IS NULL",
        stripe_id.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Takes over what Stripe tells of a method at a time: an older word changes nothing. Renewed, it may be charged again.
pub(crate) async fn renew(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
    name: &str,
    at: DateTime<Utc>,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE payment_methods SET name = $2, renewed_at = $3 \
         WHERE stripe_ref_id = $1 AND name <> $2 AND (renewed_at IS NULL OR renewed_at < $3)",
        stripe_id.as_str(),
        name,
        at,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Whose a method is, also one that was deleted.
pub(crate) async fn owner(
    connection: &mut PgConnection,
    stripe_id: &StripePaymentMethodId,
) -> Result<Option<ProfileId>, Error> {
    let owner = sqlx::query_scalar!(
        "SELECT profile_id FROM payment_methods WHERE stripe_ref_id = $1",
        stripe_id.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(owner.map(id).transpose()?)
}
