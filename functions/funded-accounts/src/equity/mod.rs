//! The history of an account's equity, for a chart.

pub mod request;
pub(crate) mod store;
pub mod view;

use domain::ids::{FundedAccountId, UserId};
use platform::clock::ClockHandle;
use platform::database::Database;

use crate::Error;
use crate::account::store as accounts;
use request::EquityQuery;
use view::{EquityHistoryView, EquityPointView};

/// The histories of accounts.
#[derive(Debug)]
pub struct EquityHistory {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(EquityHistory { database, clock });

impl EquityHistory {
    /// Points of a period, thinned to as many as are wanted without losing an extreme.
    ///
    /// # Errors
    /// Not found for an account that isn't the trader's.
    pub async fn get(
        &self,
        user: UserId,
        id: FundedAccountId,
        query: &EquityQuery,
        points: u32,
    ) -> Result<EquityHistoryView, Error> {
        let chart = query.chart(points, self.clock.now());
        let points = self
            .database
            .with(async |connection| {
                accounts::find(connection, user, id)
                    .await?
                    .ok_or(Error::AccountNotFound)?;
                store::points(connection, id, &chart).await
            })
            .await?;
        Ok(EquityHistoryView {
            from: chart.from,
            to: chart.to,
            items: points.iter().map(EquityPointView::from).collect(),
        })
    }
}
