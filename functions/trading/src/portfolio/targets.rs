//! Bringing a portfolio's targets to what it holds.

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthAccountId;
use domain::trading::portfolio::{Portfolio, Targets};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::drivewealth::{BrokerAccount, CashBalance, PortfolioResponse};
use providers::outcome::Outcome;
use sqlx::PgConnection;

use super::snapshot::{check, has_no_targets};
use super::store;
use crate::broker::{Broker, PARTY};
use crate::{Error, account};

/// Sets targets that leave everything as it is.
#[derive(Debug)]
pub(crate) struct CashTargets {
    database: Database,
    broker: Broker,
    clock: ClockHandle,
}

platform::from_environment!(CashTargets {
    database,
    broker,
    clock
});

impl CashTargets {
    /// Saves the account's cash, and sets the targets of its portfolio to its actual weights.
    ///
    /// Figures that don't hold together are not used; older ones wouldn't show the new cash. Without a portfolio, or in an
    /// account that isn't open, there are no targets to set.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, or its figures don't hold together.
    pub(crate) async fn follow(
        &self,
        account: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<TargetsResult, Error> {
        // Saved whatever becomes of the portfolio: it is what the app shows.
        let cash = self.refresh_cash(account, deadline).await?;
        let client = self.broker.client().await?;
        let as_of = self.clock.now();
        let response = match client.portfolio(account, deadline.instant()).await {
            Outcome::Declined(decline) if has_no_targets(&decline) => {
                return self.without_targets(account, deadline).await;
            }
            outcome => outcome.done(PARTY)?,
        };
        let portfolio = check(account, &response, &cash)?;
        let targets = portfolio.targets_as_they_are()?;
        let set = client
            .set_portfolio(&response.id, targets.cash, &targets.funds, deadline.instant())
            .await;
        match set {
            Outcome::Declined(decline) if has_no_targets(&decline) => {
                self.without_targets(account, deadline).await
            }
            outcome => {
                outcome.done(PARTY)?;
                Ok(TargetsResult::Set(Box::new(TargetsSet {
                    response,
                    portfolio,
                    targets,
                    as_of,
                })))
            }
        }
    }

    async fn refresh_cash(
        &self,
        account: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<CashBalance, Error> {
        let as_of = self.clock.now();
        let cash = self.broker.cash(account, deadline).await?;
        self.database
            .with(async |connection| account::store::save_cash(connection, account, &cash, as_of).await)
            .await?;
        Ok(cash)
    }

    async fn without_targets(
        &self,
        account: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<TargetsResult, Error> {
        tracing::warn!(drivewealth_account_id = %account, "found no portfolio, or its account is not open");
        metrics::count("PortfoliosNotFollowed", 1);
        Ok(TargetsResult::NoTargets(
            self.broker.account(account, deadline).await?,
        ))
    }
}

/// The result of setting the targets.
#[derive(Debug)]
pub(crate) enum TargetsResult {
    /// They are set.
    Set(Box<TargetsSet>),
    /// There are no targets to set; this is the account's state.
    NoTargets(BrokerAccount),
}

/// Targets that were set, and by which answer.
#[derive(Debug)]
pub(crate) struct TargetsSet {
    response: PortfolioResponse,
    portfolio: Portfolio,
    targets: Targets,
    as_of: DateTime<Utc>,
}

impl TargetsResult {
    /// Saves it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn save(
        &self,
        connection: &mut PgConnection,
        account: &DriveWealthAccountId,
    ) -> Result<(), Error> {
        match self {
            Self::Set(set) => {
                let TargetsSet {
                    response,
                    portfolio,
                    targets,
                    as_of,
                } = &**set;
                let target = targets.cash.as_decimal();
                store::upsert_newest(connection, account, response, portfolio, target, *as_of).await
            }
            Self::NoTargets(state) => {
                account::apply_broker_state(connection, state).await?;
                Ok(())
            }
        }
    }
}
