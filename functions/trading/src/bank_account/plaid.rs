//! Plaid, ready to be called: its secret is fetched and its client made on first use, and anew within minutes of the
//! secret's rotation.

use std::sync::Arc;

use domain::money::Money;
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::deadline::Deadline;
use platform::security::sealed::LazyDataKey;
use platform::security::secret::Rotating;
use providers::outcome::{Outcome, ProviderError};
use providers::plaid::{Plaid, is_gone, needs_sign_in};

use super::store::LinkedBankAccount;
use crate::Error;

/// Plaid's name in errors and logs.
pub(crate) const PLAID: &str = "Plaid";

/// The bank, through Plaid. A clone is the same client.
#[derive(Debug, Clone)]
pub(crate) struct Bank(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: String,
    data_key: LazyDataKey,
    clock: ClockHandle,
    client: Rotating<Plaid>,
}

platform::from_environment!(Inner {
    base: |environment: &mut Environment| environment.required("PLAID_API_BASE"),
    data_key,
    clock,
    client: Rotating::named("PLAID_SECRET"),
});

impl FromEnvironment for Bank {
    /// Reads `PLAID_API_BASE`, `PLAID_SECRET(_ARN)` and `DATA_KEY_SECRET(_ARN)`.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| Inner::read(environment).map(Arc::new).map(Self))
    }
}

impl Bank {
    /// What can be taken from a bank account now.
    ///
    /// # Errors
    /// Rejected when the bank wants a new sign-in or the link has ended, transient when Plaid doesn't respond, fatal when it refuses.
    pub(super) async fn balance(
        &self,
        account: &LinkedBankAccount,
        deadline: Deadline,
    ) -> Result<Money, Error> {
        let plaid = self.client().await?;
        let key = self.0.data_key.get().await?;
        let token = key.open(&token_place(&account.item_id), &account.access_token_sealed)?;
        let outcome = plaid
            .balance(&token, &account.plaid_account_id, deadline.instant())
            .await;
        match outcome {
            Outcome::Declined(decline) if needs_sign_in(&decline) => Err(Error::BankNeedsSignIn),
            Outcome::Declined(decline) if is_gone(&decline) => Err(Error::BankLinkEnded),
            outcome => Ok(outcome.done(PLAID)?),
        }
    }

    /// The access token of a link.
    ///
    /// # Errors
    /// When it can't be opened.
    pub(crate) async fn open(&self, item_id: &str, sealed: &[u8]) -> Result<String, Error> {
        Ok(self.0.data_key.get().await?.open(&token_place(item_id), sealed)?)
    }

    /// Seals an access token for its place.
    ///
    /// # Errors
    /// When the key can't be read.
    pub(crate) async fn seal(&self, place: &str, token: &str) -> Result<Vec<u8>, Error> {
        Ok(self.0.data_key.get().await?.seal(place, token)?)
    }

    /// The client.
    ///
    /// # Errors
    /// When the secret can't be read.
    pub(crate) async fn client(&self) -> Result<Arc<Plaid>, Error> {
        let make = |credentials| {
            Plaid::new(self.0.base.clone(), credentials, self.0.clock.clone().into())
                .map_err(|error| Error::from(ProviderError::unavailable(PLAID, &error)))
        };
        self.0.client.get(make).await
    }
}

/// The place for which an item's access token is sealed.
pub(crate) fn token_place(item_id: &str) -> String {
    format!("plaid_items.access_token:{item_id}")
}
