//! `billing_suspensions`. The row of a profile is locked before it is decided.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::ProfileId;
use domain::money::Money;
use sqlx::PgConnection;

use crate::Error;

/// Locks the profile's row, which is made when it isn't there; gives since when it is suspended.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<DateTime<Utc>>, Error> {
    let suspended_at = sqlx::query_scalar!(
        "INSERT INTO billing_suspensions (profile_id) VALUES ($1) \
         ON CONFLICT (profile_id) DO UPDATE SET suspended_at = billing_suspensions.suspended_at RETURNING suspended_at",
        profile as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(suspended_at)
}

/// Begins or ends the suspension.
pub(crate) async fn set(
    connection: &mut PgConnection,
    profile: ProfileId,
    suspended_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE billing_suspensions SET suspended_at = $2 WHERE profile_id = $1",
        profile as _,
        suspended_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The amount that the profile owes: uncollectible invoices, and open ones of which a charge failed.
pub(crate) async fn owed(
    connection: &mut PgConnection,
    profile: ProfileId,
    currency: Currency,
) -> Result<Money, Error> {
    let owed = sqlx::query_scalar!(
        r#"SELECT COALESCE(SUM(amount_cents), 0)::BIGINT AS "owed!" FROM invoices
           WHERE profile_id = $1 AND currency = $2
             AND (status = 'uncollectible' OR (status = 'open' AND first_failed_at IS NOT NULL))"#,
        profile as _,
        currency as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(Money::new(owed, currency))
}
