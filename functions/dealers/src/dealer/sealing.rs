//! Requisites at rest: sealed for the dealer and the version that they are of, so that one doesn't open in another's place.

use domain::dealers::requisite::Requisite;
use domain::ids::CmeClientId;
use platform::error::PlatformError;
use platform::security::sealed::LazyDataKey;

use super::store::Dealer;
use crate::Error;

/// The version that a dealer is registered with.
pub(super) const FIRST_VERSION: i32 = 1;

/// Seals and opens requisites.
#[derive(Debug, Clone)]
pub(crate) struct RequisiteSeal {
    key: LazyDataKey,
}

platform::from_environment!(RequisiteSeal { key });

impl RequisiteSeal {
    /// Seals a version of a dealer's requisite.
    pub(crate) async fn seal(
        &self,
        dealer: &CmeClientId,
        version: i32,
        requisite: &Requisite,
    ) -> Result<Vec<u8>, Error> {
        let text = serde_json::to_string(requisite).map_err(PlatformError::from)?;
        Ok(self.key.get().await?.seal(&place(dealer, version), &text)?)
    }

    /// The dealer's requisite as it is now.
    pub(crate) async fn open(&self, dealer: &Dealer) -> Result<Requisite, Error> {
        self.open_version(dealer, &dealer.requisite, dealer.requisite_version)
            .await
    }

    /// The requisite that the dealer was registered with.
    pub(super) async fn open_registered(&self, dealer: &Dealer) -> Result<Requisite, Error> {
        self.open_version(dealer, &dealer.registered_requisite, FIRST_VERSION)
            .await
    }

    async fn open_version(&self, dealer: &Dealer, sealed: &[u8], version: i32) -> Result<Requisite, Error> {
        let place = place(&dealer.cme_client_id, version);
        let text = self.key.get().await?.open(&place, sealed)?;
        Ok(serde_json::from_str(&text).map_err(PlatformError::from)?)
    }
}

fn place(dealer: &CmeClientId, version: i32) -> String {
    format!("dealers.requisite:{version}:{dealer}")
}
