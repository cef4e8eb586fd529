//! Clients and their wallets.

use domain::currency::Currency;
use domain::ids::ClientId;
use platform::config::Environment;
use platform::database::Database;

use crate::Error;
use crate::answer::{Answer, ClientView, WalletView};
use crate::store::clients;

/// Most characters of a reference.
const MAX_REFERENCE_LENGTH: usize = 128;
/// Most wallets that a client is registered with.
const MAX_CURRENCIES: usize = 50;

/// The clients.
#[derive(Debug)]
pub struct Clients {
    database: Database,
}

impl Clients {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// Registers a client with wallets in these currencies. A reference that is known leads to the client that has it,
    /// and the wallets that it lacks are opened.
    ///
    /// # Errors
    /// Rejected for a reference that isn't 1 to 128 visible ASCII characters, and for too many currencies.
    pub async fn register(
        &self,
        external_ref: Option<&str>,
        currencies: &[Currency],
    ) -> Result<Answer<ClientView>, Error> {
        check_reference(external_ref)?;
        if currencies.len() > MAX_CURRENCIES {
            return Err(Error::Invalid {
                field: "currencies",
                message: format!("may name at most {MAX_CURRENCIES} currencies"),
            });
        }
        let mut transaction = self.database.begin().await?;
        let taken = match external_ref {
            None => None,
            Some(external_ref) => clients::take_reference(&mut transaction, external_ref).await?,
        };
        let (client, known) = match external_ref {
            Some(external_ref) if taken.is_none() => {
                (clients::referred_to(&mut transaction, external_ref).await?, true)
            }
            _ => (
                clients::insert(&mut transaction, taken, external_ref).await?,
                false,
            ),
        };
        clients::open_wallets(&mut transaction, client, currencies).await?;
        let view = ClientView::new(
            clients::load(&mut transaction, client).await?,
            &clients::wallets(&mut transaction, client).await?,
        );
        transaction.commit().await?;
        Ok(Answer {
            view,
            replayed: known,
        })
    }

    /// Opens a wallet, or gives the one there is in this currency.
    ///
    /// # Errors
    /// Not found for an unknown client.
    pub async fn open_wallet(
        &self,
        client: ClientId,
        currency: Currency,
    ) -> Result<Answer<WalletView>, Error> {
        let mut transaction = self.database.begin().await?;
        clients::load(&mut transaction, client).await?;
        let opened = clients::open_wallets(&mut transaction, client, &[currency]).await?;
        let wallets = clients::wallets(&mut transaction, client).await?;
        transaction.commit().await?;
        let wallet = wallets
            .iter()
            .find(|wallet| wallet.balance.currency() == currency);
        Ok(Answer {
            view: wallet.map(WalletView::from).ok_or(Error::WalletNotFound)?,
            replayed: opened == 0,
        })
    }

    /// The client's wallets with their balances, in the order in which they were opened.
    ///
    /// # Errors
    /// Not found for an unknown client.
    pub async fn wallets(&self, client: ClientId) -> Result<Vec<WalletView>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let wallets = clients::wallets(&mut connection, client).await?;
        if wallets.is_empty() {
            clients::load(&mut connection, client).await?;
        }
        Ok(wallets.iter().map(WalletView::from).collect())
    }
}

fn check_reference(external_ref: Option<&str>) -> Result<(), Error> {
    let fits = |text: &str| {
        (1..=MAX_REFERENCE_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if external_ref.is_none_or(fits) {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "external_ref",
        message: format!("has to be 1 to {MAX_REFERENCE_LENGTH} visible ASCII characters"),
    })
}
