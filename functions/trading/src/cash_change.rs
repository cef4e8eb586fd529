//! After a deposit or withdrawal: every target of the portfolio becomes its actual weight, so that new cash is not
//! invested by the autopilot and withdrawn cash is not bought back (seed "on_deposit": cash target = actual).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthAccountId;
use domain::trading::portfolio::{Portfolio, Targets};
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use platform::messaging::event::Envelope;
use platform::messaging::inbox::{self, Arrival};
use platform::observability::metrics;
use platform::observability::telemetry;
use providers::drivewealth::{BrokerAccount, PortfolioAnswer, is_missing, is_not_open};
use providers::outcome::{Decline, Outcome};
use sqlx::PgConnection;

use crate::broker::{Broker, answered};
use crate::events::CashChanged;
use crate::store::{self, accounts, portfolios};
use crate::{Error, account_state};

/// The inbox's name of the sender.
const SOURCE: &str = "portfolio-changes";

/// What follows the cash.
#[derive(Debug)]
pub struct CashChanges {
    database: Arc<Database>,
    broker: Broker,
}

impl CashChanges {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment).map(Arc::new);
        let broker = Broker::read(environment, database.as_ref());
        Some(Self {
            database: database?,
            broker: broker?,
        })
    }

    /// Keeps the account's cash and sets the targets of its portfolio to its actual weights, once per event. A repetition
    /// after a crash between setting and recording sets them again from a fresh answer, which is the same.
    ///
    /// An answer that doesn't hold together is not used; an older one wouldn't show the new cash, so the message
    /// comes again instead. Without a portfolio, or in an account that isn't open, there is nothing to follow.
    ///
    /// # Errors
    /// Transient when the broker doesn't answer or its answer isn't to be trusted.
    pub async fn follow(&self, event: &Envelope<CashChanged>, deadline: Deadline) -> Result<(), Error> {
        telemetry::identify(event.data.profile_id.get());
        let event_id = event.id.to_string();
        if self.was_taken(&event_id).await? {
            return Ok(());
        }
        let account = &event.data.drivewealth_account_id;
        // Kept whatever becomes of the portfolio: it is what the app shows.
        self.keep_cash(account, deadline).await?;
        let followed = self.set_targets(account, deadline).await?;

        let payload = serde_json::value::to_raw_value(event).map_err(PlatformError::from)?;
        let arrival = Arrival {
            source: SOURCE,
            event_id: &event_id,
            kind: &event.kind,
            occurred_at: event.occurred_at,
            payload: &payload,
        };
        let mut transaction = self.database.begin().await?;
        if inbox::take(&mut transaction, &arrival).await? {
            followed.keep(&mut transaction, account).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn keep_cash(&self, account: &DriveWealthAccountId, deadline: Deadline) -> Result<(), Error> {
        let client = self.broker.client().await?;
        let as_of = self.time().await?;
        let cash = answered(client.cash(account, deadline.instant()).await)?;
        let mut connection = self.database.pool().await?.acquire().await?;
        accounts::keep_cash(&mut connection, account, &cash, as_of).await
    }

    async fn set_targets(
        &self,
        account: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<Followed, Error> {
        let client = self.broker.client().await?;
        let as_of = self.time().await?;
        let answer = match client.portfolio(account, deadline.instant()).await {
            Outcome::Declined(decline) if has_nothing(&decline) => {
                return self.nothing(account, deadline).await;
            }
            outcome => answered(outcome)?,
        };
        let portfolio = Portfolio::check(answer.reading.clone()).inspect_err(|reason| {
            tracing::error!(%reason, "a portfolio's answer is not used");
            metrics::count("InvalidPortfolios", 1);
        })?;
        let targets = portfolio.targets_as_they_are()?;
        match client.set_targets(&answer.id, &targets, deadline.instant()).await {
            Outcome::Declined(decline) if has_nothing(&decline) => self.nothing(account, deadline).await,
            outcome => {
                answered(outcome)?;
                Ok(Followed::Targets(Box::new(SetTargets {
                    answer,
                    portfolio,
                    targets,
                    as_of,
                })))
            }
        }
    }

    async fn nothing(&self, account: &DriveWealthAccountId, deadline: Deadline) -> Result<Followed, Error> {
        tracing::warn!("there is no portfolio to follow, or its account is not open");
        metrics::count("PortfoliosNotFollowed", 1);
        let client = self.broker.client().await?;
        let reading = answered(client.account(account, deadline.instant()).await)?;
        Ok(Followed::Nothing(reading))
    }

    async fn was_taken(&self, event_id: &str) -> Result<bool, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        Ok(inbox::was_taken(&mut connection, SOURCE, event_id).await?)
    }

    async fn time(&self) -> Result<DateTime<Utc>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        Ok(store::time(&mut connection).await?)
    }
}

/// What following came to.
enum Followed {
    Targets(Box<SetTargets>),
    /// There is nothing to follow; this is how the account stands.
    Nothing(BrokerAccount),
}

struct SetTargets {
    answer: PortfolioAnswer,
    portfolio: Portfolio,
    targets: Targets,
    as_of: DateTime<Utc>,
}

impl Followed {
    async fn keep(&self, connection: &mut PgConnection, account: &DriveWealthAccountId) -> Result<(), Error> {
        match self {
            Self::Targets(set) => {
                let SetTargets {
                    answer,
                    portfolio,
                    targets,
                    as_of,
                } = &**set;
                portfolios::keep(connection, account, answer, portfolio, targets, *as_of).await
            }
            Self::Nothing(reading) => {
                account_state::take_over(connection, reading).await?;
                Ok(())
            }
        }
    }
}

/// Whether the refusal says that there is no portfolio, or none whose targets could be set.
fn has_nothing(decline: &Decline) -> bool {
    is_missing(decline) || is_not_open(decline)
}
