//! Clients and their wallets. Every statement about a client names it by the head of the key.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use domain::money::Money;
use platform::error::PlatformError;
use platform::security::identity::Caller;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::currency_number::CurrencyNumber;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) external_ref: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// What leads to a client: the hash of a caller and its reference, or of the key that it was registered under.
#[derive(Debug)]
pub(crate) struct ClientName {
    pub(crate) id: Uuid,
    /// Of a key: what it was registered as.
    pub(crate) digest: Option<Uuid>,
}

/// A wallet as it is now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wallet {
    pub(crate) client_id: ClientId,
    pub(crate) id: WalletId,
    pub(crate) currency: CurrencyNumber,
    pub(crate) balance: i64,
    /// How many entries there are: the number of the newest.
    pub(crate) entries: i64,
    pub(crate) created_at: DateTime<Utc>,
}

impl Wallet {
    pub(crate) fn balance(&self) -> Money {
        self.money(self.balance)
    }

    /// An amount in the wallet's currency.
    pub(crate) fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency.0)
    }
}

/// Reserves a name for a new client and gives its id; `None` when the name leads to a client already. Waits for a concurrent
/// registration of the same name. A reference from before callers were kept leads to the client that has it.
pub(crate) async fn reserve_name(
    connection: &mut PgConnection,
    name: &ClientName,
    external_ref: Option<&str>,
) -> Result<Option<ClientId>, Error> {
    let reserved = sqlx::query_scalar!(
        r#"INSERT INTO client_names (name, client_id, request_digest)
           SELECT $1, COALESCE((SELECT client_id FROM client_references WHERE external_ref = $2), nextval('client_ids')), $3
               ON CONFLICT DO NOTHING RETURNING client_id AS "client_id: ClientId""#,
        name.id,
        external_ref,
        name.digest,
    );
    Ok(reserved.fetch_optional(connection).await?)
}

/// The next id of a client that lives on this node.
pub(crate) async fn next_id(connection: &mut PgConnection) -> Result<ClientId, Error> {
    let id = sqlx::query_scalar!(r#"SELECT nextval('client_ids') AS "id!: ClientId""#);
    Ok(id.fetch_one(connection).await?)
}

/// Keeps a name for an id, and gives the one that it leads to: another one where somebody else was faster, or where it is a
/// reference from before callers were kept.
pub(crate) async fn claim_name(
    connection: &mut PgConnection,
    name: &ClientName,
    external_ref: Option<&str>,
    id: ClientId,
) -> Result<ClientId, Error> {
    sqlx::query!(
        "INSERT INTO client_names (name, client_id, request_digest)
         SELECT $1, COALESCE((SELECT client_id FROM client_references WHERE external_ref = $2), $4), $3
             ON CONFLICT DO NOTHING",
        name.id,
        external_ref,
        name.digest,
        id as _,
    )
    .execute(&mut *connection)
    .await?;
    let kept = find_name(connection, name).await?;
    kept.ok_or_else(|| PlatformError::Stored("client's name").into())
}

/// The id that a name leads to.
///
/// # Errors
/// When the name is a key that another registration came under.
pub(crate) async fn find_name(
    connection: &mut PgConnection,
    name: &ClientName,
) -> Result<Option<ClientId>, Error> {
    let known = sqlx::query!(
        r#"SELECT client_id AS "client_id: ClientId", request_digest FROM client_names WHERE name = $1"#,
        name.id,
    )
    .fetch_optional(connection)
    .await?;
    match known {
        Some(known) if known.request_digest != name.digest => Err(PlatformError::KeyReused.into()),
        known => Ok(known.map(|known| known.client_id)),
    }
}

/// The client that a name leads to. The name is stored apart from the client, so that each of the two statements names one
/// node.
///
/// # Errors
/// When the name is a key that another registration came under.
pub(crate) async fn named(connection: &mut PgConnection, name: &ClientName) -> Result<Client, Error> {
    match find_name(connection, name).await? {
        Some(id) => load(connection, id).await,
        None => Err(PlatformError::Stored("client's name").into()),
    }
}

/// Writes a new client under the id that is reserved with its name; `None` where there is one.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    id: ClientId,
    caller: Caller,
    external_ref: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<Client>, Error> {
    let client = sqlx::query_as!(
        Client,
        r#"INSERT INTO clients (client_id, caller, external_ref, created_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING RETURNING client_id AS "id: _", external_ref, created_at"#,
        id as _,
        caller.as_uuid(),
        external_ref,
        now,
    );
    Ok(client.fetch_optional(connection).await?)
}

/// A client.
pub(crate) async fn load(connection: &mut PgConnection, client_id: ClientId) -> Result<Client, Error> {
    sqlx::query_as!(
        Client,
        r#"SELECT client_id AS "id: _", external_ref, created_at FROM clients WHERE client_id = $1"#,
        client_id as _,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::ClientNotFound)
}

/// Opens the client's wallets in these currencies, where there is none yet; gives the number of new ones. In one order, so
/// that two who open the same ones don't wait for each other in a circle.
pub(crate) async fn open_wallets(
    connection: &mut PgConnection,
    client_id: ClientId,
    currencies: &[Currency],
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let mut numbers: Vec<i16> = currencies.iter().map(|currency| currency.numeric()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let opened = sqlx::query_scalar!(
        "INSERT INTO wallets (client_id, currency, created_at) SELECT $1, unnest($2::SMALLINT[]), $3
             ON CONFLICT DO NOTHING RETURNING id",
        client_id as _,
        &numbers,
        now,
    );
    Ok(opened.fetch_all(connection).await?.len())
}

/// The client's wallets, in the order in which they were opened.
pub(crate) async fn wallets(
    connection: &mut PgConnection,
    client_id: ClientId,
) -> Result<Vec<Wallet>, Error> {
    let wallets = sqlx::query_as!(
        Wallet,
        r#"SELECT client_id AS "client_id: _", id AS "id: _", currency AS "currency: _", balance, entries, created_at
             FROM wallets WHERE client_id = $1 ORDER BY id"#,
        client_id as _,
    );
    Ok(wallets.fetch_all(connection).await?)
}

/// A wallet.
pub(crate) async fn wallet(
    connection: &mut PgConnection,
    client_id: ClientId,
    id: WalletId,
) -> Result<Wallet, Error> {
    sqlx::query_as!(
        Wallet,
        r#"SELECT client_id AS "client_id: _", id AS "id: _", currency AS "currency: _", balance, entries, created_at
             FROM wallets WHERE client_id = $1 AND id = $2"#,
        client_id as _,
        id as _,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::WalletNotFound)
}

/// The wallets of several clients with their currencies, each client's in the order in which they were opened.
pub(crate) async fn wallets_of(
    connection: &mut PgConnection,
    clients: &[ClientId],
) -> Result<Vec<Wallet>, Error> {
    let wallets = sqlx::query_as!(
        Wallet,
        r#"SELECT client_id AS "client_id: _", id AS "id: _", currency AS "currency: _", balance, entries, created_at
             FROM wallets WHERE client_id = ANY ($1) ORDER BY client_id, id"#,
        clients as _,
    );
    Ok(wallets.fetch_all(connection).await?)
}

/// A wallet, locked until the transaction ends.
pub(crate) async fn lock_wallet(
    connection: &mut PgConnection,
    client_id: ClientId,
    id: WalletId,
) -> Result<Wallet, Error> {
    sqlx::query_as!(
        Wallet,
        r#"SELECT client_id AS "client_id: _", id AS "id: _", currency AS "currency: _", balance, entries, created_at
             FROM wallets WHERE client_id = $1 AND id = $2 FOR UPDATE"#,
        client_id as _,
        id as _,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::WalletNotFound)
}
