//! What a profile holds of a collection, as the broker tells it (README, Collections).

mod view;

use domain::ids::{CollectionId, ProfileId};
use platform::database::Database;
use platform::deadline::Deadline;

pub use self::view::{HoldingView, HoldingsView};

use crate::collection_version::store as versions;
use crate::portfolio::snapshot::PortfolioReader;
use crate::{Error, collection};

/// Holdings as the app shows them.
#[derive(Debug)]
pub struct ActualHoldings {
    database: Database,
    reader: PortfolioReader,
}

platform::from_environment!(ActualHoldings { database, reader });

impl ActualHoldings {
    /// What the profile holds of the collection, nothing when it has never bought any.
    ///
    /// # Errors
    /// Not found for an unknown collection, or without a trading account; transient when the broker doesn't respond.
    pub async fn get(
        &self,
        profile: ProfileId,
        collection: CollectionId,
        deadline: Deadline,
    ) -> Result<HoldingsView, Error> {
        let (account, fund) = self
            .database
            .with(async |connection| {
                let known = collection::store::load(connection, collection).await?;
                known.ok_or(Error::CollectionNotFound)?;
                let account = versions::find_account(connection, profile, None).await?;
                let account = account.ok_or(Error::NoTradingAccount)?;
                let fund = versions::find_fund(connection, profile, collection).await?;
                Ok::<_, Error>((account, fund))
            })
            .await?;
        let snapshot = self
            .reader
            .read(&account.drivewealth_account_id, deadline)
            .await?;
        let held = snapshot
            .portfolio
            .funds()
            .iter()
            .find(|held| Some(&held.id) == fund.as_ref());
        HoldingsView::new(collection, &account, held, snapshot.as_of)
    }
}
