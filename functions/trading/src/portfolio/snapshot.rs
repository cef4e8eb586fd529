//! Reading an account's portfolio: an answer that doesn't hold together isn't used. For an order, the newest valid one
//! serves instead while it is less than an hour old and nothing has happened since.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{DriveWealthAccountId, DriveWealthPortfolioId};
use domain::trading::portfolio::{InvalidPortfolio, Portfolio};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::drivewealth::{CashBalance, PortfolioResponse, is_missing, is_not_open};
use providers::outcome::{Decline, Outcome};

use super::store;
use crate::broker::{Broker, PARTY};
use crate::{Error, account};

/// A kept answer serves for less than this.
const KEPT_FOR: TimeDelta = TimeDelta::hours(1);

/// A portfolio that holds together.
#[derive(Debug)]
pub(crate) struct PortfolioSnapshot {
    pub(crate) portfolio_id: DriveWealthPortfolioId,
    pub(crate) portfolio: Portfolio,
    /// When the broker was asked.
    pub(crate) as_of: DateTime<Utc>,
}

/// Reads portfolios.
#[derive(Debug)]
pub(crate) struct PortfolioReader {
    database: Database,
    broker: Broker,
    clock: ClockHandle,
}

platform::from_environment!(PortfolioReader {
    database,
    broker,
    clock
});

impl PortfolioReader {
    /// The account's portfolio with figures that hold together, and that is kept for a time at which they don't.
    ///
    /// # Errors
    /// Rejected without a portfolio, or for an account that isn't open; transient when the broker doesn't respond, or neither
    /// its answer nor a kept one can be used.
    pub(crate) async fn read(
        &self,
        account: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<PortfolioSnapshot, Error> {
        let client = self.broker.client().await?;
        let as_of = self.clock.now();
        let response = match client.portfolio(account, deadline.instant()).await {
            Outcome::Declined(decline) if has_no_targets(&decline) => return Err(Error::NoPortfolio),
            outcome => outcome.done(PARTY)?,
        };
        let cash = self.broker.cash(account, deadline).await?;
        self.database
            .with(async |connection| account::store::save_cash(connection, account, &cash, as_of).await)
            .await?;
        match check(account, &response, &cash) {
            Ok(portfolio) => self.record(account, response, portfolio, as_of).await,
            Err(reason) => self.kept(account, &cash, as_of, reason).await,
        }
    }

    async fn record(
        &self,
        account: &DriveWealthAccountId,
        response: PortfolioResponse,
        portfolio: Portfolio,
        as_of: DateTime<Utc>,
    ) -> Result<PortfolioSnapshot, Error> {
        let target = portfolio.cash_target();
        self.database
            .with(async |connection| {
                store::upsert_newest(connection, account, &response, &portfolio, target, as_of).await
            })
            .await?;
        Ok(PortfolioSnapshot {
            portfolio_id: response.id,
            portfolio,
            as_of,
        })
    }

    /// The newest valid answer, where it may still serve.
    async fn kept(
        &self,
        account: &DriveWealthAccountId,
        cash: &CashBalance,
        now: DateTime<Utc>,
        reason: InvalidPortfolio,
    ) -> Result<PortfolioSnapshot, Error> {
        let kept = self
            .database
            .with(async |connection| store::load_kept(connection, account, now - KEPT_FOR).await)
            .await?;
        let kept = kept.and_then(|(portfolio_id, snapshot, as_of)| {
            let portfolio = Portfolio::check(snapshot).ok()?;
            portfolio.agrees_with(cash.balance).ok()?;
            Some(PortfolioSnapshot {
                portfolio_id,
                portfolio,
                as_of,
            })
        });
        kept.ok_or(Error::InvalidPortfolio(reason))
    }
}

/// The portfolio of an answer, checked against itself and the account's cash.
///
/// # Errors
/// Why it isn't used; that is logged and counted.
pub(super) fn check(
    account: &DriveWealthAccountId,
    response: &PortfolioResponse,
    cash: &CashBalance,
) -> Result<Portfolio, InvalidPortfolio> {
    let checked = Portfolio::check(response.portfolio.clone()).and_then(|portfolio| {
        portfolio.agrees_with(cash.balance)?;
        Ok(portfolio)
    });
    checked.inspect_err(|reason| {
        tracing::error!(drivewealth_account_id = %account, %reason, "refused the broker's figures of a portfolio");
        metrics::count("InvalidPortfolios", 1);
    })
}

/// Whether the refusal says that there is no portfolio, or none whose targets could be set.
pub(super) fn has_no_targets(decline: &Decline) -> bool {
    is_missing(decline) || is_not_open(decline)
}
