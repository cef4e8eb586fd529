//! DriveWealth, ready to be called: its secret is fetched and its client made on first use, and anew within minutes of the
//! secret's rotation. All instances share one session.

mod adviser;
mod store;

use std::sync::Arc;

use domain::ids::{DriveWealthAccountId, DriveWealthPaymentId};
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::deadline::Deadline;
use platform::security::sealed::LazyDataKey;
use platform::security::secret::Rotating;
use providers::drivewealth::{BrokerAccount, CashBalance, Credentials, DriveWealth, Payment};
use providers::outcome::ProviderError;
use secrecy::ExposeSecret;

pub(crate) use self::adviser::OurAdviser;

use self::store::SharedSessions;
use crate::Error;

/// The broker's name in errors and logs.
pub(crate) const PARTY: &str = "DriveWealth";

/// DriveWealth behind its shared session.
pub(crate) type Client = DriveWealth<SharedSessions>;

/// The broker. A clone is the same client.
#[derive(Debug, Clone)]
pub struct Broker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: String,
    data_key: LazyDataKey,
    database: Database,
    clock: ClockHandle,
    client: Rotating<Client>,
}

platform::from_environment!(Inner {
    base: |environment: &mut Environment| environment.required("DRIVEWEALTH_API_BASE"),
    data_key,
    database,
    clock,
    client: Rotating::named("DRIVEWEALTH_SECRET"),
});

impl FromEnvironment for Broker {
    /// Reads `DRIVEWEALTH_API_BASE`, `DRIVEWEALTH_SECRET(_ARN)` and `DATA_KEY_SECRET(_ARN)`.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| Inner::read(environment).map(Arc::new).map(Self))
    }
}

impl Broker {
    /// The client, for calls whose outcome is more than a response or a failure.
    ///
    /// # Errors
    /// When a secret can't be read.
    pub(crate) async fn client(&self) -> Result<Arc<Client>, Error> {
        let inner = &self.0;
        let key = inner.data_key.get().await?;
        let make = |credentials: Credentials| {
            let (database, clock) = (inner.database.clone(), inner.clock.clone());
            let sessions =
                SharedSessions::new(database, clock, key.clone(), credentials.app_key.expose_secret());
            DriveWealth::new(
                inner.base.clone(),
                credentials,
                sessions,
                inner.clock.clone().into(),
            )
            .map_err(|error| Error::from(ProviderError::unavailable(PARTY, &error)))
        };
        inner.client.get(make).await
    }

    /// An account as it is now.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, fatal when it refuses.
    pub(crate) async fn account(
        &self,
        id: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<BrokerAccount, Error> {
        let client = self.client().await?;
        Ok(client.account(id, deadline.instant()).await.done(PARTY)?)
    }

    /// The cash of an account.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, fatal when it refuses.
    pub(crate) async fn cash(
        &self,
        id: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<CashBalance, Error> {
        let client = self.client().await?;
        Ok(client.cash(id, deadline.instant()).await.done(PARTY)?)
    }

    /// A deposit as it is now.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, fatal when it refuses.
    pub(crate) async fn deposit(
        &self,
        id: &DriveWealthPaymentId,
        deadline: Deadline,
    ) -> Result<Payment, Error> {
        let client = self.client().await?;
        Ok(client.deposit(id, deadline.instant()).await.done(PARTY)?)
    }

    /// A redemption as it is now.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, fatal when it refuses.
    pub(crate) async fn redemption(
        &self,
        id: &DriveWealthPaymentId,
        deadline: Deadline,
    ) -> Result<Payment, Error> {
        let client = self.client().await?;
        Ok(client.redemption(id, deadline.instant()).await.done(PARTY)?)
    }
}
