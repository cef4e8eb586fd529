//! Bank accounts, and the sign-ins at banks behind them.

use chrono::{DateTime, Utc};
use domain::ids::{BankAccountId, DriveWealthBankAccountId, DriveWealthUserId, PlaidAccountId, ProfileId};
use domain::money::Money;
use providers::drivewealth::BrokerBankAccount;
use sqlx::PgConnection;

use crate::Error;

/// A bank account as Plaid knows it.
#[derive(Debug, Clone)]
pub(crate) struct LinkedBankAccount {
    pub(crate) id: BankAccountId,
    pub(crate) profile: ProfileId,
    /// What it was last known to have, and when.
    pub(crate) known: Option<(Money, DateTime<Utc>)>,
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

/// Saves a balance, unless a newer one is known.
pub(crate) async fn save_balance(
    connection: &mut PgConnection,
    id: BankAccountId,
    balance: Option<Money>,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bank_accounts SET balance_cents = $2, currency = $3, balance_as_of = $4 \
         WHERE id = $1 AND (balance_as_of IS NULL OR balance_as_of < $4)",
        id as _,
        balance.map(|balance| balance.minor()),
        balance.map(|balance| balance.currency().code().to_owned()),
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
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

/// A bank account that can get another token: it is linked, and so is its bank.
#[derive(Debug)]
pub(super) struct Renewable {
    pub(super) drivewealth_bank_account_id: DriveWealthBankAccountId,
    pub(super) drivewealth_user_id: DriveWealthUserId,
    pub(super) item_id: String,
    pub(super) access_token_sealed: Vec<u8>,
    pub(super) plaid_account_id: PlaidAccountId,
}

/// A bank account, if it can get another token.
pub(super) async fn renewable(
    connection: &mut PgConnection,
    bank_account: BankAccountId,
) -> Result<Option<Renewable>, Error> {
    let renewable = sqlx::query_as!(
        Renewable,
        r#"SELECT drivewealth_bank_accounts.ref_id AS "drivewealth_bank_account_id: _",
                  drivewealth_user_id AS "drivewealth_user_id: _", item_id, access_token_sealed,
                  plaid_account_id AS "plaid_account_id: _"
           FROM bank_accounts
           JOIN drivewealth_bank_accounts ON drivewealth_bank_accounts.bank_account_id = bank_accounts.id
           JOIN plaid_items ON plaid_items.id = plaid_item_id
           WHERE bank_accounts.id = $1 AND deleted_at IS NULL AND ended_at IS NULL AND token_invalid_since IS NULL"#,
        bank_account as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(renewable)
}

/// Puts the broker's new bank account in the place of the refused one, unless another one is there.
pub(super) async fn set_renewed(
    connection: &mut PgConnection,
    bank_account: BankAccountId,
    refused: &DriveWealthBankAccountId,
    made: &BrokerBankAccount,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_bank_accounts SET ref_id = $3, status = $4 WHERE bank_account_id = $1 AND ref_id = $2",
        bank_account as _,
        refused as _,
        &made.id as _,
        made.status,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the bank has answered, at this time: the customer is signed in. While Plaid's warning holds that the link will end, an
/// answer doesn't show it.
pub(crate) async fn set_signed_in(
    connection: &mut PgConnection,
    item_id: &str,
    answered_at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET needs_reauth_since = NULL, warned_until = NULL \
         WHERE item_id = $1 AND needs_reauth_since IS NOT NULL AND (warned_until IS NULL OR warned_until <= $2)",
        item_id,
        answered_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
