//! `funded_account_restorations`, and the opening of `funded_accounts`.

use chrono::{DateTime, Utc};
use domain::funded::live::Breach;
use domain::ids::{FundedAccountId, UserId};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// Whose account it is.
pub(super) async fn owner(
    connection: &mut PgConnection,
    id: FundedAccountId,
) -> Result<Option<UserId>, Error> {
    let owner = sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id: _" FROM funded_accounts WHERE id = $1 AND activated_at IS NOT NULL"#,
        id as _,
    );
    Ok(owner.fetch_optional(connection).await?)
}

/// Opens the record, and notes that this breach closes it no more; twice it is noted once.
pub(super) async fn restore(
    connection: &mut PgConnection,
    id: FundedAccountId,
    breach: &Breach,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO funded_account_restorations (funded_account_id, epoch, sequence, breach, reason, restored_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        id as _,
        breach.place.epoch,
        breach.place.sequence,
        Json(breach) as _,
        reason,
        now,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE funded_accounts SET status = 'active', closed_at = NULL, closure_reason = NULL, breach = NULL \
         WHERE id = $1 AND status = 'closed'",
        id as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
