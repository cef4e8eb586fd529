//! Links to banks and the accounts of them.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{
    BankAccountId, DriveWealthBankAccountId, DriveWealthUserId, PlaidAccountId, PlaidItemId, ProfileId,
};
use domain::money::Money;
use providers::drivewealth::BrokerBankAccount;
use sqlx::PgConnection;

use crate::Error;

/// A link to a bank.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: PlaidItemId,
    pub(crate) item_id: String,
    pub(crate) access_token_sealed: Vec<u8>,
}

/// What a public token came to.
#[derive(Debug)]
pub(super) enum Exchanged {
    /// Nobody has used it.
    New,
    /// It became this item.
    Item(Item),
    /// It was used, and what it became is lost, not known yet, or has ended.
    Lost,
    /// Somebody else has used it.
    Foreign,
}

/// What the public token of a digest came to.
pub(super) async fn exchanged(
    connection: &mut PgConnection,
    profile: ProfileId,
    digest: &[u8],
) -> Result<Exchanged, Error> {
    let row = sqlx::query!(
        r#"SELECT plaid_public_tokens.profile_id AS "profile_id: ProfileId", plaid_items.id AS "id?: PlaidItemId",
                  plaid_items.item_id AS "item_id?", plaid_items.access_token_sealed AS "access_token_sealed?"
           FROM plaid_public_tokens
           LEFT JOIN plaid_items ON plaid_items.id = plaid_item_id AND plaid_items.ended_at IS NULL
           WHERE digest = $1"#,
        digest,
    )
    .fetch_optional(connection)
    .await?;
    Ok(match row {
        None => Exchanged::New,
        Some(row) if row.profile_id != profile => Exchanged::Foreign,
        Some(row) => match (row.id, row.item_id, row.access_token_sealed) {
            (Some(id), Some(item_id), Some(access_token_sealed)) => Exchanged::Item(Item {
                id,
                item_id,
                access_token_sealed,
            }),
            _ => Exchanged::Lost,
        },
    })
}

/// How many public tokens of a profile were exchanged since then.
pub(super) async fn links_since(
    connection: &mut PgConnection,
    profile: ProfileId,
    since: DateTime<Utc>,
) -> Result<i64, Error> {
    let links = sqlx::query_scalar!(
        r#"SELECT count(*) AS "links!" FROM plaid_public_tokens WHERE profile_id = $1 AND created_at > $2"#,
        profile as _,
        since,
    )
    .fetch_one(connection)
    .await?;
    Ok(links)
}

/// Writes a public token down before it is exchanged.
pub(super) async fn insert_token(
    connection: &mut PgConnection,
    profile: ProfileId,
    digest: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO plaid_public_tokens (digest, profile_id, created_at) VALUES ($1, $2, $3)",
        digest,
        profile as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a public token that surely wasn't exchanged.
pub(super) async fn delete_token(connection: &mut PgConnection, digest: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        "DELETE FROM plaid_public_tokens WHERE digest = $1 AND plaid_item_id IS NULL",
        digest
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes down what a public token became. A link that was mended has another access token.
pub(super) async fn save_item(
    connection: &mut PgConnection,
    profile: ProfileId,
    digest: &[u8],
    item_id: &str,
    access_token_sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Item>, Error> {
    let item = sqlx::query_as!(
        Item,
        r#"INSERT INTO plaid_items (profile_id, item_id, access_token_sealed, created_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (item_id) DO UPDATE SET access_token_sealed = EXCLUDED.access_token_sealed,
               needs_reauth_since = NULL, warned_until = NULL, new_accounts_at = NULL
           WHERE plaid_items.profile_id = EXCLUDED.profile_id
           RETURNING id AS "id: _", item_id, access_token_sealed"#,
        profile as _,
        item_id,
        access_token_sealed,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(item) = &item {
        sqlx::query!(
            "UPDATE plaid_public_tokens SET plaid_item_id = $2 WHERE digest = $1",
            digest,
            item.id as _
        )
        .execute(connection)
        .await?;
    }
    Ok(item)
}

/// Saves whose link it is.
pub(super) async fn save_institution(
    connection: &mut PgConnection,
    item: PlaidItemId,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET institution_id = $2, institution_name = $3 WHERE id = $1",
        item as _,
        id,
        name,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An account as it stands in our record.
#[derive(Debug, Clone)]
pub(crate) struct Linked {
    pub(crate) id: BankAccountId,
    pub(crate) status: String,
}

/// The account of a link, if it is linked.
pub(super) async fn find(
    connection: &mut PgConnection,
    item: PlaidItemId,
    account: &PlaidAccountId,
) -> Result<Option<Linked>, Error> {
    let linked = sqlx::query_as!(
        Linked,
        r#"SELECT id AS "id: _", status FROM bank_accounts
           WHERE plaid_item_id = $1 AND plaid_account_id = $2 AND deleted_at IS NULL"#,
        item as _,
        account as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(linked)
}

/// Whether the profile has linked the same account of a bank by another link, which is still good: banks break the first
/// link then.
pub(super) async fn has_duplicate(
    connection: &mut PgConnection,
    profile: ProfileId,
    item: PlaidItemId,
    institution_id: Option<&str>,
    mask: Option<&str>,
    bank_name: &str,
) -> Result<bool, Error> {
    let has = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM bank_accounts JOIN plaid_items ON plaid_items.id = plaid_item_id
               WHERE bank_accounts.profile_id = $1 AND plaid_item_id <> $2 AND deleted_at IS NULL
                 AND institution_id IS NOT NULL AND institution_id = $3 AND mask IS NOT DISTINCT FROM $4
                 AND bank_name = $5 AND ended_at IS NULL AND status <> 'failed'
                 AND NOT EXISTS (SELECT 1 FROM drivewealth_bank_accounts
                                 WHERE bank_account_id = bank_accounts.id AND token_invalid_since IS NOT NULL)
           ) AS "has!""#,
        profile as _,
        item as _,
        institution_id,
        mask,
        bank_name,
    )
    .fetch_one(connection)
    .await?;
    Ok(has)
}

/// An account to link.
#[derive(Debug)]
pub(super) struct NewBankAccount<'a> {
    pub(super) item: PlaidItemId,
    pub(super) account: &'a PlaidAccountId,
    pub(super) name: &'a str,
    pub(super) bank_name: &'a str,
    pub(super) mask: Option<&'a str>,
    pub(super) balance: Option<Money>,
}

/// Writes an account down before DriveWealth is asked.
pub(super) async fn insert(
    connection: &mut PgConnection,
    profile: ProfileId,
    new: &NewBankAccount<'_>,
    now: DateTime<Utc>,
) -> Result<BankAccountId, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO bank_accounts (profile_id, plaid_item_id, plaid_account_id, name, bank_name, mask, balance_cents,
               currency, balance_as_of, status, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $7::BIGINT IS NOT NULL THEN $9::TIMESTAMPTZ END, 'linking', $9)
           RETURNING id AS "id: BankAccountId""#,
        profile as _,
        new.item as _,
        new.account as _,
        new.name,
        new.bank_name,
        new.mask,
        new.balance.map(|balance| balance.minor()),
        new.balance.map(|balance| balance.currency().code().to_owned()),
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(id)
}

/// Sets the account's state.
pub(crate) async fn set_status(
    connection: &mut PgConnection,
    id: BankAccountId,
    status: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bank_accounts SET status = $2 WHERE id = $1",
        id as _,
        status
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// DriveWealth has the account.
pub(crate) async fn set_linked(
    connection: &mut PgConnection,
    id: BankAccountId,
    user: &DriveWealthUserId,
    account: &BrokerBankAccount,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO drivewealth_bank_accounts (ref_id, drivewealth_user_id, bank_account_id, status, created_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        &account.id as _,
        user as _,
        id as _,
        account.status,
        now,
    )
    .execute(&mut *connection)
    .await?;
    set_status(connection, id, "linked").await
}

/// The broker's user of a profile; none before the form was submitted.
pub(super) async fn user_of(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<DriveWealthUserId>, Error> {
    let user = sqlx::query_scalar!(
        r#"SELECT ref_id AS "ref_id: DriveWealthUserId" FROM drivewealth_users WHERE profile_id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(user)
}

/// How many accounts of a link of the profile's stand; they are found by the profile.
pub(super) async fn count_of_item(
    connection: &mut PgConnection,
    profile: ProfileId,
    item: PlaidItemId,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM bank_accounts
           WHERE profile_id = $1 AND plaid_item_id = $2 AND unlinked_at IS NULL"#,
        profile as _,
        item as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// The link has ended.
pub(crate) async fn set_ended(
    connection: &mut PgConnection,
    item: PlaidItemId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE plaid_items SET ended_at = COALESCE(ended_at, $2) WHERE id = $1",
        item as _,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An account with its link, as it is shown and worked on.
#[derive(Debug, Clone)]
pub(crate) struct BankAccountRow {
    pub(crate) id: BankAccountId,
    pub(crate) name: String,
    pub(crate) mask: Option<String>,
    pub(crate) status: String,
    pub(crate) plaid_account_id: PlaidAccountId,
    pub(crate) balance_cents: Option<i64>,
    pub(crate) currency: Option<Currency>,
    pub(crate) balance_as_of: Option<DateTime<Utc>>,
    pub(crate) item: PlaidItemId,
    pub(crate) item_id: String,
    pub(crate) access_token_sealed: Vec<u8>,
    pub(crate) institution_name: Option<String>,
    pub(crate) needs_reauth_since: Option<DateTime<Utc>>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) broker_ids: Vec<String>,
    /// DriveWealth refuses its bank token.
    pub(crate) is_token_invalid: bool,
}

/// The most accounts of a profile that are shown.
const MAX_ACCOUNTS: i64 = 50;

/// The profile's accounts, or one of them; those that are deleted only while something is left to do about them.
pub(super) async fn list(
    connection: &mut PgConnection,
    profile: ProfileId,
    only: Option<BankAccountId>,
) -> Result<Vec<BankAccountRow>, Error> {
    let rows = sqlx::query_as!(
        BankAccountRow,
        r#"SELECT bank_accounts.id AS "id: _", name, mask, status, plaid_account_id AS "plaid_account_id: _",
                  balance_cents, currency AS "currency: _", balance_as_of, plaid_item_id AS "item: _", item_id,
                  access_token_sealed, institution_name, needs_reauth_since, ended_at,
                  ARRAY(SELECT ref_id FROM drivewealth_bank_accounts
                        WHERE bank_account_id = bank_accounts.id) AS "broker_ids!",
                  EXISTS(SELECT 1 FROM drivewealth_bank_accounts
                         WHERE bank_account_id = bank_accounts.id AND token_invalid_since IS NOT NULL)
                      AS "is_token_invalid!"
           FROM bank_accounts JOIN plaid_items ON plaid_items.id = plaid_item_id
           WHERE bank_accounts.profile_id = $1 AND unlinked_at IS NULL
             AND (CASE WHEN $2::BIGINT IS NULL THEN deleted_at IS NULL ELSE bank_accounts.id = $2 END)
           ORDER BY bank_accounts.id LIMIT $3"#,
        profile as _,
        only as _,
        MAX_ACCOUNTS,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Whether a money flow of the account is under way.
pub(super) async fn has_open_flow(connection: &mut PgConnection, id: BankAccountId) -> Result<bool, Error> {
    let has = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM trading_money_flow
                          WHERE bank_account_id = $1 AND status IN ('pending', 'approved')) AS "has!""#,
        id as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(has)
}

/// The account is deleted: nothing goes through it from now on.
pub(super) async fn set_deleted(
    connection: &mut PgConnection,
    id: BankAccountId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bank_accounts SET deleted_at = COALESCE(deleted_at, $2) WHERE id = $1",
        id as _,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// DriveWealth has forgotten the account.
pub(super) async fn set_unlinked(
    connection: &mut PgConnection,
    id: BankAccountId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bank_accounts SET unlinked_at = COALESCE(unlinked_at, $2) WHERE id = $1",
        id as _,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Broker ids that can be asked for.
pub(super) fn broker_ids(row: &BankAccountRow) -> impl Iterator<Item = DriveWealthBankAccountId> + '_ {
    let parsed = row
        .broker_ids
        .iter()
        .map(|id| DriveWealthBankAccountId::parse(id));
    parsed.filter_map(Result::ok)
}

/// Whose link it is.
pub(super) async fn institution_of(
    connection: &mut PgConnection,
    item: PlaidItemId,
) -> Result<Option<String>, Error> {
    let institution = sqlx::query_scalar!("SELECT institution_id FROM plaid_items WHERE id = $1", item as _)
        .fetch_one(connection)
        .await?;
    Ok(institution)
}

/// All accounts of the profile that stand.
pub(crate) async fn all_of(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Vec<BankAccountRow>, Error> {
    list(connection, profile, None).await
}
