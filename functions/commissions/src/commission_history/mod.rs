//! The commissions a profile has paid.

mod store;
mod view;

use domain::ids::{ChargeId, ProfileId};
use platform::database::Database;
use platform::pagination::{Page, PageRequest};

use crate::Error;
pub use view::{CommissionHistoryView, PaidCommissionView, YearTotalView};

platform::list! {
    /// The commissions that a profile has paid, newest first.
    pub PaidCommissions: ChargeId = "commissions"
}

/// The history of paid commissions, for reading.
#[derive(Debug)]
pub struct CommissionHistory {
    database: Database,
}

platform::from_environment!(CommissionHistory { database });

impl CommissionHistory {
    /// A page of the profile's history, newest first, and the totals of all years.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        page: PageRequest<PaidCommissions>,
    ) -> Result<CommissionHistoryView, Error> {
        let (rows, totals) = self
            .database
            .with(async |connection| {
                let rows = store::page(connection, profile, page.after, page.rows()).await?;
                Ok::<_, Error>((rows, store::totals(connection, profile).await?))
            })
            .await?;
        let page = Page::from_overfetched(&rows, &page, PaidCommissionView::clone, |row| row.charge_id)?;
        Ok(CommissionHistoryView {
            items: page.items,
            next_cursor: page.next_cursor,
            totals,
        })
    }
}
