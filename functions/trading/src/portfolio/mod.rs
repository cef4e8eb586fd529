//! A portfolio's targets follow its account's cash: after a deposit or withdrawal, every target becomes the actual weight,
//! so that the autopilot neither invests new cash nor buys back what was withdrawn (README, Cash changes).

mod store;

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthAccountId;
use domain::trading::portfolio::{Portfolio, Targets};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use platform::messaging::event::Envelope;
use platform::messaging::inbox::{self, Arrival};
use platform::observability::{metrics, telemetry};
use providers::drivewealth::{BrokerAccount, PortfolioResponse, is_missing, is_not_open};
use providers::outcome::{Decline, Outcome};
use sqlx::PgConnection;

use crate::broker::{Broker, PARTY};
use crate::events::CashChanged;
use crate::{Error, account};

/// The sender's name in the inbox.
const SOURCE: &str = "portfolio-changes";

/// Applies changes of cash to portfolios.
#[derive(Debug)]
pub struct CashChanges {
    database: Database,
    broker: Broker,
    clock: ClockHandle,
}

platform::from_environment!(CashChanges {
    database,
    broker,
    clock
});

impl CashChanges {
    /// Saves the account's cash and sets the targets of its portfolio to its actual weights, once per event. A repetition
    /// after a crash between setting and recording sets them again from fresh figures, which is the same.
    ///
    /// Figures that don't hold together are not used; older ones wouldn't show the new cash, so the message comes again
    /// instead. Without a portfolio, or in an account that isn't open, there are no targets to set.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, or its figures don't hold together.
    pub async fn apply(&self, event: &Envelope<CashChanged>, deadline: Deadline) -> Result<(), Error> {
        telemetry::identify(event.data.profile_id.get());
        let event_id = event.id.to_string();
        if inbox::was_recorded(&self.database, SOURCE, &event_id).await? {
            return Ok(());
        }
        let account = &event.data.drivewealth_account_id;
        // Saved whatever becomes of the portfolio: it is what the app shows.
        self.refresh_cash(account, deadline).await?;
        let result = self.set_targets(account, deadline).await?;

        let payload = serde_json::value::to_raw_value(event).map_err(PlatformError::from)?;
        let arrival = Arrival {
            source: SOURCE,
            event_id: &event_id,
            kind: &event.kind,
            occurred_at: event.occurred_at,
            received_at: self.clock.now(),
            payload: &payload,
        };
        inbox::once(&self.database, &arrival, async |connection| {
            result.save(connection, account).await
        })
        .await?;
        Ok(())
    }

    async fn refresh_cash(&self, account: &DriveWealthAccountId, deadline: Deadline) -> Result<(), Error> {
        let as_of = self.clock.now();
        let cash = self.broker.cash(account, deadline).await?;
        self.database
            .with(async |connection| account::store::save_cash(connection, account, &cash, as_of).await)
            .await
    }

    async fn set_targets(
        &self,
        account: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<TargetsResult, Error> {
        let client = self.broker.client().await?;
        let as_of = self.clock.now();
        let response = match client.portfolio(account, deadline.instant()).await {
            Outcome::Declined(decline) if has_no_targets(&decline) => {
                return self.without_targets(account, deadline).await;
            }
            outcome => outcome.done(PARTY)?,
        };
        let portfolio = Portfolio::check(response.portfolio.clone()).inspect_err(|reason| {
            tracing::error!(drivewealth_account_id = %account, %reason, "refused the broker's figures of a portfolio");
            metrics::count("InvalidPortfolios", 1);
        })?;
        let targets = portfolio.targets_as_they_are()?;
        match client
            .set_targets(&response.id, &targets, deadline.instant())
            .await
        {
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
enum TargetsResult {
    Set(Box<TargetsSet>),
    /// There are no targets to set; this is the account's state.
    NoTargets(BrokerAccount),
}

struct TargetsSet {
    response: PortfolioResponse,
    portfolio: Portfolio,
    targets: Targets,
    as_of: DateTime<Utc>,
}

impl TargetsResult {
    async fn save(&self, connection: &mut PgConnection, account: &DriveWealthAccountId) -> Result<(), Error> {
        match self {
            Self::Set(set) => {
                let TargetsSet {
                    response,
                    portfolio,
                    targets,
                    as_of,
                } = &**set;
                store::upsert_newest(connection, account, response, portfolio, targets, *as_of).await
            }
            Self::NoTargets(state) => {
                account::apply_broker_state(connection, state).await?;
                Ok(())
            }
        }
    }
}

/// Whether the refusal says that there is no portfolio, or none whose targets could be set.
fn has_no_targets(decline: &Decline) -> bool {
    is_missing(decline) || is_not_open(decline)
}
