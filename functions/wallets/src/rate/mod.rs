//! Exchange rates: set by administrators, or read from the European Central Bank. A rate is history: it is added and never
//! changed. See README, Exchange rates.

pub(crate) mod accept;
pub(crate) mod copies;
mod file;
pub(crate) mod limits;
pub mod refresh;
pub mod setting;
pub(crate) mod store;
pub mod view;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::wallets::rates::RateMaxAge;
use platform::clock::ClockHandle;
use sqlx::PgConnection;

use crate::Error;
use crate::placement::Nodes;
use store::StoredRate;
use view::ExchangeRateView;

/// The exchange rates, for whoever reads them.
#[derive(Debug)]
pub struct ExchangeRates {
    nodes: Nodes,
    clock: ClockHandle,
    max_age: RateMaxAge,
}

platform::from_environment!(ExchangeRates {
    nodes,
    clock,
    max_age: limits::read_max_age,
});

impl ExchangeRates {
    /// The newest rate of a pair, whether it still converts or not.
    ///
    /// # Errors
    /// Not found where the pair has none.
    pub async fn find(&self, base: Currency, quote: Currency) -> Result<ExchangeRateView, Error> {
        let newest = self
            .nodes
            .first()
            .with(async |connection| store::newest_of(connection, base, quote).await)
            .await?;
        let newest = newest.ok_or(Error::RateNotFound { base, quote })?;
        let status = view::status(&newest, newest.as_of, self.max_age, self.clock.now());
        Ok(ExchangeRateView::of(&newest, status, self.max_age))
    }
}

/// The rate by which money of one currency becomes money of another now.
///
/// # Errors
/// Rejected where there is none, or the newest is too old.
pub(crate) async fn converting(
    connection: &mut PgConnection,
    base: Currency,
    quote: Currency,
    max_age: RateMaxAge,
    now: DateTime<Utc>,
) -> Result<StoredRate, Error> {
    let newest = store::newest_of(connection, base, quote).await?;
    let newest = newest.ok_or(Error::NoExchangeRate)?;
    if max_age.allows(newest.as_of, now) {
        Ok(newest)
    } else {
        Err(Error::RateTooOld {
            base,
            quote,
            as_of: newest.as_of,
            max_age_days: max_age.days(),
        })
    }
}
