//! Clients and their wallets. Every statement about a client names it by the key of its partition.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use domain::money::Money;
use sqlx::PgConnection;

use crate::Error;
use crate::currency_number::CurrencyNumber;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) external_ref: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
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

/// Reserves a reference for a new client and gives its id; `None` when the reference leads to a client already. Waits for
/// a concurrent registration of the same reference.
pub(crate) async fn reserve_reference(
    connection: &mut PgConnection,
    external_ref: &str,
) -> Result<Option<ClientId>, Error> {
    let reserved = sqlx::query_scalar!(
        r#"INSERT INTO client_references (external_ref, client_id) VALUES ($1, nextval('client_ids'))
           ON CONFLICT DO NOTHING RETURNING client_id AS "client_id: ClientId""#,
        external_ref,
    );
    Ok(reserved.fetch_optional(connection).await?)
}

/// The client that a reference leads to. The reference is stored apart from the client, so that each of the two statements
/// names one node.
pub(crate) async fn referred(connection: &mut PgConnection, external_ref: &str) -> Result<Client, Error> {
    let client_id = sqlx::query_scalar!(
        r#"SELECT client_id AS "client_id: ClientId" FROM client_references WHERE external_ref = $1"#,
        external_ref,
    )
    .fetch_one(&mut *connection)
    .await?;
    load(connection, client_id).await
}

/// Writes a new client, under the id that is reserved with its reference, or under the next one.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    reserved: Option<ClientId>,
    external_ref: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Client, Error> {
    let client = sqlx::query_as!(
        Client,
        r#"INSERT INTO clients (client_id, external_ref, created_at)
           VALUES (COALESCE($1, nextval('client_ids')), $2, $3)
           RETURNING client_id AS "id: _", external_ref, created_at"#,
        reserved as _,
        external_ref,
        now,
    );
    Ok(client.fetch_one(connection).await?)
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

/// Opens the client's wallets in these currencies, where there is none yet; gives the number of new ones.
pub(crate) async fn open_wallets(
    connection: &mut PgConnection,
    client_id: ClientId,
    currencies: &[Currency],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let numbers: Vec<i16> = currencies.iter().map(Currency::numeric).collect();
    let opened = sqlx::query!(
        "INSERT INTO wallets (client_id, currency, created_at) SELECT $1, unnest($2::SMALLINT[]), $3
         ON CONFLICT DO NOTHING",
        client_id as _,
        &numbers,
        now,
    )
    .execute(connection)
    .await?;
    Ok(opened.rows_affected())
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
