//! DriveWealth's events: delivered at least once, in no order.
//!
//! Each is taken once, in the transaction of its effect. Deposits carry their state; redemptions and accounts are
//! hints, and DriveWealth is asked. Types that nobody handles yet are kept and counted.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::trading::money_flow::Direction;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::observability::metrics;
use providers::drivewealth::{account_of_event, payment_of_event};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Error;
use crate::account_state;
use crate::broker::answered;
use crate::settlement::Settlement;

/// The inbox's name of the sender.
const SOURCE: &str = "drivewealth";

/// An event as it comes.
#[derive(Debug, Deserialize)]
pub struct DriveWealthEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: DateTime<Utc>,
    payload: Box<RawValue>,
}

/// What handles the events.
#[derive(Debug)]
pub struct DriveWealthEvents {
    database: Arc<Database>,
    settlement: Settlement,
}

impl DriveWealthEvents {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment).map(Arc::new);
        let settlement = Settlement::read(environment, database.as_ref());
        Some(Self {
            database: database?,
            settlement: settlement?,
        })
    }

    /// Takes an event over.
    ///
    /// # Errors
    /// Transient when DriveWealth or the database doesn't answer; fatal for a payload that can't be read.
    pub async fn apply(&self, event: &DriveWealthEvent, deadline: Deadline) -> Result<(), Error> {
        if self.was_taken(event).await? {
            return Ok(());
        }
        let arrival = Arrival {
            source: SOURCE,
            event_id: &event.id,
            kind: &event.kind,
            occurred_at: event.timestamp,
            payload: &event.payload,
        };
        match event.kind.as_str() {
            "deposits.created" | "deposits.updated" => {
                let payment = payment(event)?;
                self.settlement
                    .settle(Direction::Deposit, &payment, Some(&arrival))
                    .await?;
            }
            "redemptions.created" | "redemptions.updated" => {
                let payment = payment(event)?;
                self.settlement
                    .follow_redemption(&payment.id, Some(&arrival), deadline)
                    .await?;
            }
            "accounts.created" | "accounts.updated" => self.account(event, &arrival, deadline).await?,
            kind => self.keep(kind, &arrival).await?,
        }
        Ok(())
    }

    async fn was_taken(&self, event: &DriveWealthEvent) -> Result<bool, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        Ok(inbox::was_taken(&mut connection, SOURCE, &event.id).await?)
    }

    async fn account(
        &self,
        event: &DriveWealthEvent,
        arrival: &Arrival<'_>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let id = account_of_event(&event.payload).map_err(|reason| unreadable(event, &reason))?;
        let client = self.settlement.broker().client().await?;
        let reading = answered(client.account(&id, deadline.instant()).await)?;
        let mut transaction = self.database.begin().await?;
        if !inbox::take(&mut transaction, arrival).await? {
            return Ok(());
        }
        account_state::take_over(&mut transaction, &reading).await?;
        Ok(transaction.commit().await?)
    }

    /// Keeps an event that nobody handles.
    async fn keep(&self, kind: &str, arrival: &Arrival<'_>) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        if inbox::take(&mut transaction, arrival).await? {
            tracing::info!(kind, "an event of a type that nobody handles is kept");
            metrics::count_with("UnhandledEvents", 1, &[("kind", kind)]);
        }
        Ok(transaction.commit().await?)
    }
}

fn payment(event: &DriveWealthEvent) -> Result<providers::drivewealth::Payment, Error> {
    payment_of_event(&event.payload, event.timestamp).map_err(|reason| unreadable(event, &reason))
}

fn unreadable(event: &DriveWealthEvent, reason: &dyn std::fmt::Display) -> Error {
    Error::Event {
        kind: event.kind.clone(),
        reason: reason.to_string(),
    }
}
