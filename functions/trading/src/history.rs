//! The list of a profile's deposits and withdrawals.

use domain::ids::{MoneyFlowId, ProfileId};
use platform::config::Environment;
use platform::database::Database;
use platform::error::PlatformError;
use platform::pagination::{self, Page};

use crate::Error;
use crate::answer::MoneyFlowView;
use crate::store::money_flow;

/// The history of money flows.
#[derive(Debug)]
pub struct MoneyFlowHistory {
    database: Database,
}

impl MoneyFlowHistory {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// A page of the profile's flows, newest first, after the flow `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        after: Option<MoneyFlowId>,
        limit: u32,
    ) -> Result<Page<MoneyFlowView>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let before = after.map_or(i64::MAX, |flow| flow.get());
        // One more than asked for tells whether there is a next page.
        let flows = money_flow::history(&mut connection, profile, before, i64::from(limit) + 1).await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = flows.len() > size;
        let items: Vec<MoneyFlowView> = flows.iter().take(size).map(MoneyFlowView::from).collect();
        let last = items.last().filter(|_| has_more).map(|entry| entry.id);
        let next_cursor = last
            .map(|id| pagination::encode(&id))
            .transpose()
            .map_err(PlatformError::from)?;
        Ok(Page { items, next_cursor })
    }
}
