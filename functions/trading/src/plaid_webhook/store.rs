//! What Plaid's webhooks say of links.

use chrono::{DateTime, Utc};
use domain::ids::{BankAccountId, PlaidItemId, ProfileId};
use sqlx::PgConnection;

use crate::Error;

/// A link with its lock.
#[derive(Debug)]
pub(super) struct LockedItem {
    pub(super) id: PlaidItemId,
    pub(super) profile_id: ProfileId,
    pub(super) state_as_of: Option<DateTime<Utc>>,
    pub(super) needs_reauth_since: Option<DateTime<Utc>>,
    pub(super) warned_until: Option<DateTime<Utc>>,
}

/// Locks a link; none when it isn't ours.
pub(super) async fn lock(connection: &mut PgConnection, item_id: &str) -> Result<Option<LockedItem>, Error> {
    let item = sqlx::query_as!(
        LockedItem,
        r#"SELECT id AS "id: _", profile_id AS "profile_id: _", state_as_of, needs_reauth_since, warned_until
           FROM plaid_items WHERE item_id = $1 FOR UPDATE"#,
        item_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(item)
}

/// Saves a link's state as of a webhook: since when its customer has to sign in, and by when it ends otherwise, where Plaid has
/// warned of it.
pub(super) async fn save_state(
    connection: &mut PgConnection,
    item: PlaidItemId,
    needs_reauth_since: Option<DateTime<Utc>>,
    warned_until: Option<DateTime<Utc>>,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET needs_reauth_since = $2, warned_until = $3, state_as_of = $4 WHERE id = $1",
        item as _,
        needs_reauth_since,
        warned_until,
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The bank has other accounts to choose.
pub(super) async fn set_new_accounts(
    connection: &mut PgConnection,
    item: PlaidItemId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET new_accounts_at = $2 WHERE id = $1",
        item as _,
        at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An account of a link.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: BankAccountId,
    pub(super) name: String,
}

/// The accounts of a link that stand.
pub(super) async fn accounts(
    connection: &mut PgConnection,
    item: PlaidItemId,
) -> Result<Vec<Account>, Error> {
    let accounts = sqlx::query_as!(
        Account,
        r#"SELECT id AS "id: _", name FROM bank_accounts WHERE plaid_item_id = $1 AND deleted_at IS NULL ORDER BY id"#,
        item as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(accounts)
}

/// The customer has taken an account out of the link: it has to be linked again.
pub(super) async fn set_account_failed(
    connection: &mut PgConnection,
    item: PlaidItemId,
    plaid_account_id: Option<&str>,
    from: &[String],
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bank_accounts SET status = 'failed' \
         WHERE plaid_item_id = $1 AND ($2::TEXT IS NULL OR plaid_account_id = $2) AND status = ANY($3) \
           AND deleted_at IS NULL",
        item as _,
        plaid_account_id,
        from,
    )
    .execute(connection)
    .await?;
    Ok(())
}
