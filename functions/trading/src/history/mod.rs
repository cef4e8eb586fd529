//! All that has moved a profile's money, in one list: deposits, withdrawals, orders of collections, and commissions.

mod query;
mod store;
mod view;

use domain::ids::ProfileId;
use platform::database::Database;
use platform::pagination::{Page, PageRequest};

pub use self::query::{AccountHistory, HistoryFilter, HistoryPosition, TradingHistoryQuery};
pub use self::view::HistoryEntryView;

use self::store::Entry;
use crate::Error;

/// Lists what has moved money.
#[derive(Debug)]
pub struct TradingHistory {
    database: Database,
}

platform::from_environment!(TradingHistory { database });

impl TradingHistory {
    /// A page of the profile's history, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        filter: Option<HistoryFilter>,
        page: PageRequest<AccountHistory>,
    ) -> Result<Page<HistoryEntryView>, Error> {
        let entries = self
            .database
            .with(async |connection| {
                store::list(connection, profile, filter, page.after.as_ref(), page.rows()).await
            })
            .await?;
        let page = Page::from_overfetched(
            &entries,
            &page,
            |entry: &Entry| HistoryEntryView::from(entry.clone()),
            |entry: &Entry| entry.position(),
        );
        Ok(page?)
    }
}
