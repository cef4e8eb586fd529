//! `drivewealth_account_leases`, and whether a run is under way, on which the order of changes depends.

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthAccountId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;

/// Takes the lease until `until`, unless somebody else has it; says whether it was taken.
///
/// # Errors
/// [`Error::TradingAccountNotFound`] for an account that isn't known.
pub(crate) async fn acquire(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    lease: Uuid,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool, Error> {
    let taken = sqlx::query!(
        "INSERT INTO drivewealth_account_leases AS lease (drivewealth_account_id, lease_id, leased_until) \
         VALUES ($1, $2, $4) \
         ON CONFLICT (drivewealth_account_id) DO UPDATE SET lease_id = $2, leased_until = $4 \
         WHERE lease.leased_until IS NULL OR lease.leased_until <= $3",
        account as _,
        lease,
        now,
        until,
    )
    .execute(connection)
    .await
    .map_err(|error| match error.as_database_error() {
        Some(refused) if refused.is_foreign_key_violation() => Error::TradingAccountNotFound,
        _ => error.into(),
    })?;
    Ok(taken.rows_affected() == 1)
}

/// Ends the lease, if it is still this one.
pub(crate) async fn release(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    lease: Uuid,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_account_leases SET lease_id = NULL, leased_until = NULL \
         WHERE drivewealth_account_id = $1 AND lease_id = $2",
        account as _,
        lease,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the lease is still this one; it stays so until the transaction ends.
pub(crate) async fn is_held(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    lease: Uuid,
) -> Result<bool, Error> {
    let held = sqlx::query_scalar!(
        "SELECT lease_id FROM drivewealth_account_leases WHERE drivewealth_account_id = $1 AND lease_id = $2 FOR UPDATE",
        account as _,
        lease,
    )
    .fetch_optional(connection)
    .await?;
    Ok(held.is_some())
}

/// Whether a run of the account is planned or open.
pub(crate) async fn has_run_under_way(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
) -> Result<bool, Error> {
    let has_run = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM drivewealth_autopilot_runs
                          WHERE drivewealth_account_id = $1 AND ended_at IS NULL) AS "has_run!""#,
        account as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(has_run)
}

/// Remembers that the targets have to follow the cash, once they can.
pub(crate) async fn remember_cash_change(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO drivewealth_account_leases AS lease (drivewealth_account_id, cash_changed_at) VALUES ($1, $2) \
         ON CONFLICT (drivewealth_account_id) DO UPDATE SET cash_changed_at = $2",
        account as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// When the cash changed that the targets have to follow.
pub(crate) async fn cash_change(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
) -> Result<Option<DateTime<Utc>>, Error> {
    let changed = sqlx::query_scalar!(
        "SELECT cash_changed_at FROM drivewealth_account_leases WHERE drivewealth_account_id = $1",
        account as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(changed.flatten())
}

/// The targets have followed the cash as it was at a time.
pub(crate) async fn forget_cash_change(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_account_leases SET cash_changed_at = NULL \
         WHERE drivewealth_account_id = $1 AND cash_changed_at <= $2",
        account as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
