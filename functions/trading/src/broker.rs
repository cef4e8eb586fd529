//! The broker and the bank, ready to be asked: secrets are fetched and clients made on first use, and anew within
//! minutes of a secret's rotation.

use std::sync::Arc;

use domain::ids::PlaidAccountId;
use domain::money::Money;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use platform::security::sealed::DataKey;
use platform::security::secret::{Rotating, SecretSource};
use providers::drivewealth::DriveWealth;
use providers::outcome::Outcome;
use providers::plaid::{Plaid, needs_sign_in};
use tokio::sync::OnceCell;

use crate::Error;
use crate::store::session::SharedSessions;

/// DriveWealth behind its shared session.
pub(crate) type Client = DriveWealth<SharedSessions>;

/// The broker.
#[derive(Debug)]
pub struct Broker {
    base: String,
    data_key: LazyDataKey,
    database: Arc<Database>,
    client: Rotating<Client>,
}

impl Broker {
    /// Reads `DRIVEWEALTH_API_BASE`, `DRIVEWEALTH_SECRET(_ARN)` and `DATA_KEY_SECRET(_ARN)`.
    pub fn read(environment: &mut Environment, database: Option<&Arc<Database>>) -> Option<Self> {
        let base = environment.required("DRIVEWEALTH_API_BASE");
        let credentials = SecretSource::read(environment, "DRIVEWEALTH_SECRET");
        let data_key = LazyDataKey::read(environment);
        let database = database?.clone();
        Some(Self {
            base: base?,
            data_key: data_key?,
            database,
            client: Rotating::new(credentials?),
        })
    }

    pub(crate) async fn client(&self) -> Result<Arc<Client>, Error> {
        let key = self.data_key.get().await?;
        self.client
            .get(|credentials: providers::drivewealth::Credentials| {
                let sessions = SharedSessions::new(self.database.clone(), key.clone(), &credentials.app_key);
                DriveWealth::new(self.base.clone(), credentials, sessions).map_err(|error| {
                    Error::Unavailable {
                        party: "DriveWealth",
                        reason: error.to_string(),
                    }
                })
            })
            .await
    }
}

/// The bank, through Plaid.
#[derive(Debug)]
pub struct Bank {
    base: String,
    data_key: LazyDataKey,
    client: Rotating<Plaid>,
}

impl Bank {
    /// Reads `PLAID_API_BASE`, `PLAID_SECRET(_ARN)` and `DATA_KEY_SECRET(_ARN)`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let base = environment.required("PLAID_API_BASE");
        let credentials = SecretSource::read(environment, "PLAID_SECRET");
        let data_key = LazyDataKey::read(environment);
        Some(Self {
            base: base?,
            data_key: data_key?,
            client: Rotating::new(credentials?),
        })
    }

    /// What can be taken from a bank account now.
    pub(crate) async fn balance(
        &self,
        account: &LinkedBankAccount,
        deadline: Deadline,
    ) -> Result<Money, Error> {
        let plaid = self.client().await?;
        let token = self
            .data_key
            .get()
            .await?
            .open(&token_place(&account.item_id), &account.access_token_sealed)?;
        match plaid
            .balance(&token, &account.plaid_account_id, deadline.instant())
            .await
        {
            Outcome::Done(balance) => Ok(balance),
            Outcome::Declined(decline) if needs_sign_in(&decline) => Err(Error::BankNeedsSignIn),
            Outcome::Declined(decline) => Err(Error::Refused {
                party: "Plaid",
                code: decline.code,
                status: decline.status,
            }),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => Err(Error::Unavailable {
                party: "Plaid",
                reason: reason.to_string(),
            }),
        }
    }

    async fn client(&self) -> Result<Arc<Plaid>, Error> {
        self.client
            .get(|credentials| {
                Plaid::new(self.base.clone(), credentials).map_err(|error| Error::Unavailable {
                    party: "Plaid",
                    reason: error.to_string(),
                })
            })
            .await
    }
}

/// The key that seals what is stored, loaded on first use; it isn't rotated.
#[derive(Debug)]
struct LazyDataKey {
    secret: SecretSource,
    key: OnceCell<DataKey>,
}

impl LazyDataKey {
    fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            secret: SecretSource::read(environment, "DATA_KEY_SECRET")?,
            key: OnceCell::new(),
        })
    }

    async fn get(&self) -> Result<&DataKey, PlatformError> {
        self.key.get_or_try_init(|| DataKey::load(&self.secret)).await
    }
}

/// A bank account as Plaid knows it.
#[derive(Debug, Clone)]
pub(crate) struct LinkedBankAccount {
    pub(crate) item_id: String,
    pub(crate) access_token_sealed: Vec<u8>,
    /// The bank is known to want its customer to sign in again.
    pub(crate) needs_sign_in: bool,
    pub(crate) plaid_account_id: PlaidAccountId,
}

/// The place for which an item's access token is sealed.
pub fn token_place(item_id: &str) -> String {
    format!("plaid_items.access_token:{item_id}")
}

/// The broker's answer, where nothing else will do.
pub(crate) fn answered<T>(outcome: Outcome<T>) -> Result<T, Error> {
    match outcome {
        Outcome::Done(answer) => Ok(answer),
        Outcome::Declined(decline) => Err(Error::Refused {
            party: "DriveWealth",
            code: decline.code,
            status: decline.status,
        }),
        Outcome::Retryable(reason) | Outcome::Unknown(reason) => Err(Error::Unavailable {
            party: "DriveWealth",
            reason: reason.to_string(),
        }),
    }
}
