//! The list of a profile's deposits and withdrawals.

use domain::ids::{MoneyFlowId, ProfileId};
use domain::trading::money_flow::{Direction, MoneyFlowStatus};
use platform::config::Environment;
use platform::cursor::{self, Page};
use platform::database::Database;
use platform::error::PlatformError;

use crate::Error;
use crate::answer::MoneyFlowView;
use crate::store::money_flow::{self, HistoryRow};
use crate::store::{id, money};

impl TryFrom<HistoryRow> for MoneyFlowView {
    type Error = Error;

    fn try_from(row: HistoryRow) -> Result<Self, Error> {
        let amount = money(row.amount_cents, &row.currency)?.checked_abs()?;
        Ok(Self {
            id: id(row.id)?,
            direction: Direction::of(row.amount_cents),
            trading_account_id: id(row.trading_account_id)?,
            bank_account_id: id(row.bank_account_id)?,
            amount_cents: amount.minor(),
            currency: amount.currency().code().to_owned(),
            status: MoneyFlowStatus::parse(&row.status).ok_or(PlatformError::Stored("status"))?,
            failure_code: row.failure_code,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

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
        let rows = money_flow::history(&mut connection, profile, before, i64::from(limit) + 1).await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > size;
        let items: Vec<MoneyFlowView> = rows
            .into_iter()
            .take(size)
            .map(MoneyFlowView::try_from)
            .collect::<Result<_, _>>()?;
        let last = items.last().filter(|_| has_more).map(|entry| entry.id);
        let next_cursor = last
            .map(|id| cursor::encode(&id))
            .transpose()
            .map_err(PlatformError::from)?;
        Ok(Page { items, next_cursor })
    }
}
