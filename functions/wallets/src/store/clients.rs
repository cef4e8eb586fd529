//! Clients and their wallets.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use domain::money::Money;
use platform::error::PlatformError;
use sqlx::PgConnection;

use super::{currency, id};
use crate::Error;

/// A client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) external_ref: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A wallet as it is now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wallet {
    pub(crate) client: ClientId,
    pub(crate) id: WalletId,
    pub(crate) balance: Money,
    pub(crate) entries: i64,
    pub(crate) created_at: DateTime<Utc>,
}

struct WalletRow {
    client_id: i64,
    id: i64,
    currency: i16,
    balance: i64,
    entries: i64,
    created_at: DateTime<Utc>,
}

impl TryFrom<WalletRow> for Wallet {
    type Error = PlatformError;

    fn try_from(row: WalletRow) -> Result<Self, PlatformError> {
        Ok(Self {
            client: id(row.client_id)?,
            id: id(row.id)?,
            balance: Money::new(row.balance, currency(row.currency)?),
            entries: row.entries,
            created_at: row.created_at,
        })
    }
}

/// Takes a reference for a new client; `None` when it leads to one already. Waits for a concurrent taker.
pub(crate) async fn take_reference(
    connection: &mut PgConnection,
    external_ref: &str,
) -> Result<Option<ClientId>, Error> {
    let taken = sqlx::query_scalar!(
        "INSERT INTO client_references (external_ref, client_id) VALUES ($1, nextval('client_ids')) \
         ON CONFLICT DO NOTHING RETURNING client_id",
        external_ref,
    )
    .fetch_optional(connection)
    .await?;
    Ok(taken.map(id).transpose()?)
}

/// The client that a reference leads to.
pub(crate) async fn referred_to(
    connection: &mut PgConnection,
    external_ref: &str,
) -> Result<ClientId, Error> {
    let client_id = sqlx::query_scalar!(
        "SELECT client_id FROM client_references WHERE external_ref = $1",
        external_ref,
    )
    .fetch_one(connection)
    .await?;
    Ok(id(client_id)?)
}

/// Writes a new client, under the id that its reference has taken, or under the next one.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    taken: Option<ClientId>,
    external_ref: Option<&str>,
) -> Result<ClientId, Error> {
    let client_id = sqlx::query_scalar!(
        "INSERT INTO clients (client_id, external_ref) VALUES (COALESCE($1, nextval('client_ids')), $2) \
         RETURNING client_id",
        taken.map(|client| client.get()),
        external_ref,
    )
    .fetch_one(connection)
    .await?;
    Ok(id(client_id)?)
}

/// A client.
pub(crate) async fn load(connection: &mut PgConnection, client: ClientId) -> Result<Client, Error> {
    let row = sqlx::query!(
        "SELECT client_id, external_ref, created_at FROM clients WHERE client_id = $1",
        client.get(),
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::ClientNotFound)?;
    Ok(Client {
        id: id(row.client_id)?,
        external_ref: row.external_ref,
        created_at: row.created_at,
    })
}

/// Opens the client's wallets in these currencies, where there is none yet; gives the number of new ones.
pub(crate) async fn open_wallets(
    connection: &mut PgConnection,
    client: ClientId,
    currencies: &[Currency],
) -> Result<u64, Error> {
    let numbers: Vec<i16> = currencies.iter().map(Currency::numeric).collect();
    let opened = sqlx::query!(
        "INSERT INTO wallets (client_id, currency) SELECT $1, unnest($2::SMALLINT[]) ON CONFLICT DO NOTHING",
        client.get(),
        &numbers,
    )
    .execute(connection)
    .await?;
    Ok(opened.rows_affected())
}

/// The client's wallets, in the order in which they were opened.
pub(crate) async fn wallets(connection: &mut PgConnection, client: ClientId) -> Result<Vec<Wallet>, Error> {
    let rows = sqlx::query_as!(
        WalletRow,
        "SELECT client_id, id, currency, balance, entries, created_at FROM wallets WHERE client_id = $1 ORDER BY id",
        client.get(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Wallet::try_from).collect::<Result<_, _>>()?)
}

/// A wallet.
pub(crate) async fn wallet(
    connection: &mut PgConnection,
    client: ClientId,
    wallet: WalletId,
) -> Result<Wallet, Error> {
    let row = sqlx::query_as!(
        WalletRow,
        "SELECT client_id, id, currency, balance, entries, created_at FROM wallets WHERE client_id = $1 AND id = $2",
        client.get(),
        wallet.get(),
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::WalletNotFound)?;
    Ok(row.try_into()?)
}

/// A wallet, locked until the transaction ends.
pub(crate) async fn lock_wallet(
    connection: &mut PgConnection,
    client: ClientId,
    wallet: WalletId,
) -> Result<Wallet, Error> {
    let row = sqlx::query_as!(
        WalletRow,
        "SELECT client_id, id, currency, balance, entries, created_at FROM wallets \
         WHERE client_id = $1 AND id = $2 FOR UPDATE",
        client.get(),
        wallet.get(),
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::WalletNotFound)?;
    Ok(row.try_into()?)
}
