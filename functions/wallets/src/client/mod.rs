//! Clients and their wallets: registered and opened by services, read by the client too.

pub mod access;
pub(crate) mod store;
pub mod view;

use domain::currency::Currency;
use domain::ids::ClientId;
use platform::clock::ClockHandle;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::security::identity::Caller;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use crate::payment_request::{digest_of, name_of_client};
use crate::placement::Nodes;
use store::{Client, ClientName};
use view::{ClientView, WalletView};

/// Most characters of a reference.
const MAX_REFERENCE_LENGTH: usize = 128;
/// Most wallets that a client is registered with.
const MAX_CURRENCIES: usize = 50;

/// By what a registration is known when it is sent again.
#[derive(Debug, Clone, Copy)]
pub enum Registration<'a> {
    /// The reference.
    Named(&'a str),
    /// The key, where there is no reference.
    Keyed(&'a IdempotencyKey),
}

/// A client to register.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterClientRequest {
    /// The caller's own name of the client: 1 to 128 visible ASCII characters. One that this caller has given before leads to
    /// the client that has it; without one, the request needs an `Idempotency-Key`.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[\x21-\x7E]+$",
        examples("shop-1001")
    )]
    pub external_ref: Option<String>,
    /// The currencies of the wallets to open, as ISO 4217 codes.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 50, pattern = "^[A-Z]{3}$", examples("USD"))]
    pub currencies: Vec<Currency>,
}

/// A wallet to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenWalletRequest {
    /// Its currency, an ISO 4217 code.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", examples("EUR"))]
    pub currency: Currency,
}

/// The clients.
#[derive(Debug)]
pub struct Clients {
    nodes: Nodes,
    clock: ClockHandle,
}

platform::from_environment!(Clients { nodes, clock });

impl Clients {
    /// Registers a client with wallets in these currencies. A reference that the caller has given before leads to the client
    /// that has it (`replayed`), and the wallets that it lacks are opened; without a reference the key does.
    ///
    /// # Errors
    /// Rejected for a reference that isn't 1 to 128 visible ASCII characters, for too many currencies, and for a key that
    /// another registration came under.
    pub async fn register(
        &self,
        caller: Caller,
        registration: Registration<'_>,
        request: &RegisterClientRequest,
    ) -> Result<Replayable<ClientView>, Error> {
        request.check()?;
        let name = match registration {
            Registration::Named(external_ref) => ClientName {
                id: name_of_client(caller, "reference", external_ref).id,
                digest: None,
            },
            Registration::Keyed(key) => ClientName {
                id: name_of_client(caller, "registration", key.as_str()).id,
                digest: Some(digest_of(request)?),
            },
        };
        if self.nodes.is_one() {
            return self
                .nodes
                .first()
                .transaction(async |connection| {
                    let client = self.find_or_insert(connection, caller, &name, request).await?;
                    self.open(connection, client, request).await
                })
                .await;
        }
        let id = self.id_under(&name, request).await?;
        self.nodes
            .of(id)
            .transaction(async |connection| {
                let client = self.insert_or_load(connection, id, caller, request).await?;
                self.open(connection, client, request).await
            })
            .await
    }

    /// The id that a name leads to, where names and clients live on several nodes: chosen and kept with the name before there is
    /// a client. Whoever registers it again, the first one cut off in between or not, comes to the same id.
    async fn id_under(&self, name: &ClientName, request: &RegisterClientRequest) -> Result<ClientId, Error> {
        let names = self.nodes.of_slot(self.nodes.slot_of_name(name.id));
        let known = names
            .with(async |connection| store::find_name(connection, name).await)
            .await?;
        let id = match known {
            Some(id) => id,
            None => {
                let home = self.nodes.slot_of_new(name.id);
                let id = self
                    .nodes
                    .of_slot(home)
                    .with(async |connection| store::next_id(connection).await)
                    .await?;
                self.nodes.check(id, home)?;
                let external_ref = request.external_ref.as_deref();
                names
                    .with(async |connection| store::claim_name(connection, name, external_ref, id).await)
                    .await?
            }
        };
        self.nodes.check(id, self.nodes.slot_of(id))?;
        Ok(id)
    }

    async fn find_or_insert(
        &self,
        connection: &mut PgConnection,
        caller: Caller,
        name: &ClientName,
        request: &RegisterClientRequest,
    ) -> Result<Replayable<Client>, Error> {
        let external_ref = request.external_ref.as_deref();
        match store::reserve_name(connection, name, external_ref).await? {
            Some(id) => self.insert_or_load(connection, id, caller, request).await,
            None => Ok(Replayable::replayed(store::named(connection, name).await?)),
        }
    }

    async fn insert_or_load(
        &self,
        connection: &mut PgConnection,
        id: ClientId,
        caller: Caller,
        request: &RegisterClientRequest,
    ) -> Result<Replayable<Client>, Error> {
        let external_ref = request.external_ref.as_deref();
        match store::insert(connection, id, caller, external_ref, self.clock.now()).await? {
            Some(client) => Ok(Replayable::new(client)),
            None => Ok(Replayable::replayed(store::load(connection, id).await?)),
        }
    }

    /// Opens the wallets that the client lacks.
    async fn open(
        &self,
        connection: &mut PgConnection,
        client: Replayable<Client>,
        request: &RegisterClientRequest,
    ) -> Result<Replayable<ClientView>, Error> {
        let id = client.value.id;
        store::open_wallets(connection, id, &request.currencies, self.clock.now()).await?;
        let wallets = store::wallets(connection, id).await?;
        Ok(client.map(|client| ClientView::new(client, &wallets)))
    }

    /// Opens a wallet, or gives the one there is in this currency (`replayed`).
    ///
    /// # Errors
    /// Not found for an unknown client.
    pub async fn open_wallet(
        &self,
        client_id: ClientId,
        request: &OpenWalletRequest,
    ) -> Result<Replayable<WalletView>, Error> {
        let currency = request.currency;
        self.nodes
            .of(client_id)
            .transaction(async |connection| {
                store::load(connection, client_id).await?;
                let opened =
                    store::open_wallets(connection, client_id, &[currency], self.clock.now()).await?;
                let wallets = store::wallets(connection, client_id).await?;
                let wallet = wallets.iter().find(|wallet| wallet.currency.0 == currency);
                Ok(Replayable {
                    value: wallet.map(WalletView::from).ok_or(Error::WalletNotFound)?,
                    replayed: opened == 0,
                })
            })
            .await
    }

    /// The client's wallets with their balances, in the order in which they were opened.
    ///
    /// # Errors
    /// Not found for an unknown client.
    pub async fn wallets(&self, client_id: ClientId) -> Result<Vec<WalletView>, Error> {
        let wallets = self
            .nodes
            .of(client_id)
            .with(async |connection| {
                let wallets = store::wallets(connection, client_id).await?;
                if wallets.is_empty() {
                    store::load(connection, client_id).await?;
                }
                Ok::<_, Error>(wallets)
            })
            .await?;
        Ok(wallets.iter().map(WalletView::from).collect())
    }
}

impl RegisterClientRequest {
    fn check(&self) -> Result<(), Error> {
        let fits = |text: &str| {
            (1..=MAX_REFERENCE_LENGTH).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.external_ref.as_deref().is_none_or(fits) {
            return Err(Error::Invalid {
                field: "external_ref",
                message: format!("has to be 1 to {MAX_REFERENCE_LENGTH} visible ASCII characters"),
            });
        }
        if self.currencies.len() > MAX_CURRENCIES {
            return Err(Error::Invalid {
                field: "currencies",
                message: format!("may name at most {MAX_CURRENCIES} currencies"),
            });
        }
        Ok(())
    }
}
