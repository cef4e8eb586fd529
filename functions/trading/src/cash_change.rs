//! After a deposit or withdrawal: every target of the portfolio becomes its actual weight, so that new cash is not
//! invested by the autopilot and withdrawn cash is not bought back (seed "on_deposit": cash target = actual).

use std::sync::Arc;

use domain::clock::Clock;
use domain::trading::portfolio::Portfolio;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::event::Envelope;
use platform::inbox::{self, Arrival};
use platform::metrics;

use crate::Error;
use crate::broker::{Broker, expect};
use crate::events::CashChanged;
use crate::store::{accounts, portfolios};

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

    /// Sets the targets of the account's portfolio to its actual weights, once per event. A repetition after a crash
    /// between setting and recording sets them again from a fresh answer, which is the same.
    ///
    /// An answer that doesn't hold together is not used; an older one wouldn't show the new cash, so the message
    /// comes again instead.
    ///
    /// # Errors
    /// Transient when the broker doesn't answer or its answer isn't to be trusted.
    pub async fn follow(&self, event: &Envelope<CashChanged>, deadline: Deadline) -> Result<(), Error> {
        let event_id = event.id.to_string();
        if self.was_taken(&event_id).await? {
            return Ok(());
        }
        let account = &event.data.drivewealth_account_id;
        let client = self.broker.client().await?;
        let as_of = SystemClock.now();
        let answer = expect(client.portfolio(account, deadline.instant()).await)?;
        let portfolio = Portfolio::check(answer.reading.clone()).inspect_err(|reason| {
            tracing::error!(%reason, "a portfolio's answer is not used");
            metrics::count("InvalidPortfolios", 1);
        })?;
        let cash = expect(client.cash(account, deadline.instant()).await)?;
        let targets = portfolio.targets_as_they_are()?;
        expect(client.set_targets(&answer.id, &targets, deadline.instant()).await)?;

        let payload = serde_json::to_value(event).map_err(platform::error::PlatformError::from)?;
        let arrival = Arrival {
            source: SOURCE,
            event_id: &event_id,
            kind: &event.kind,
            occurred_at: event.occurred_at,
            payload: &payload,
        };
        let mut transaction = self.database.begin().await?;
        if inbox::take(&mut transaction, &arrival).await? {
            accounts::keep_cash(&mut transaction, account, &cash, as_of).await?;
            portfolios::keep(&mut transaction, account, &answer, &portfolio, &targets, as_of).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn was_taken(&self, event_id: &str) -> Result<bool, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        Ok(inbox::was_taken(&mut connection, SOURCE, event_id).await?)
    }
}
