//! Bank accounts, and the sign-ins at banks behind them.

use chrono::{DateTime, Utc};
use domain::ids::{BankAccountId, PlaidAccountId};
use sqlx::PgConnection;

use crate::Error;

/// A bank account as Plaid knows it.
#[derive(Debug, Clone)]
pub(crate) struct LinkedBankAccount {
    pub(crate) item_id: String,
    pub(crate) access_token_sealed: Vec<u8>,
    /// The bank is known to want its customer to sign in again.
    pub(crate) needs_sign_in: bool,
    /// The customer has revoked the link, or taken the account out of it: Plaid isn't asked about it any more.
    pub(crate) is_link_ended: bool,
    /// DriveWealth refuses its bank token, whatever Plaid says: it has to be linked again.
    pub(crate) is_token_invalid: bool,
    pub(crate) plaid_account_id: PlaidAccountId,
}

/// Records that the bank wants its customer to sign in again; the first time counts.
pub(crate) async fn set_needs_sign_in(
    connection: &mut PgConnection,
    item_id: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET needs_reauth_since = COALESCE(needs_reauth_since, $2) WHERE item_id = $1",
        item_id,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that there is no such link any more; the first time counts.
pub(crate) async fn set_link_ended(
    connection: &mut PgConnection,
    item_id: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET ended_at = COALESCE(ended_at, $2) WHERE item_id = $1",
        item_id,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that DriveWealth refuses a bank account's token; the first time counts.
pub(crate) async fn set_token_invalid(
    connection: &mut PgConnection,
    bank_account: BankAccountId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_bank_accounts SET token_invalid_since = COALESCE(token_invalid_since, $2) \
         WHERE bank_account_id = $1",
        bank_account as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the customer is signed in.
pub(crate) async fn set_signed_in(connection: &mut PgConnection, item_id: &str) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET needs_reauth_since = NULL WHERE item_id = $1 AND needs_reauth_since IS NOT NULL",
        item_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}
