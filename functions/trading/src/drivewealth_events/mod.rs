//! DriveWealth's events: delivered at least once, in no order.
//!
//! Each is recorded once, in the transaction of its effect. Deposits carry their state; an event of a redemption or an
//! account is a hint, and its state is fetched. Types that nobody handles yet are recorded and counted.

use chrono::{DateTime, Utc};
use domain::trading::money_flow::Direction;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::observability::metrics;
use providers::drivewealth::{Payment, account_of_event, payment_of_event};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::broker::Broker;
use crate::money_flow::PaymentRecorder;
use crate::{Error, account};

/// The sender's name in the inbox.
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

/// Applies DriveWealth's events.
#[derive(Debug)]
pub struct DriveWealthEvents {
    database: Database,
    broker: Broker,
    payments: PaymentRecorder,
    clock: ClockHandle,
}

platform::from_environment!(DriveWealthEvents {
    database,
    broker,
    payments,
    clock
});

impl DriveWealthEvents {
    /// Applies an event, unless it was before.
    ///
    /// # Errors
    /// Transient when DriveWealth or the database doesn't respond; fatal for a payload that can't be read.
    pub async fn apply(&self, event: &DriveWealthEvent, deadline: Deadline) -> Result<(), Error> {
        if inbox::was_recorded(&self.database, SOURCE, &event.id).await? {
            return Ok(());
        }
        let arrival = Arrival {
            source: SOURCE,
            event_id: &event.id,
            kind: &event.kind,
            occurred_at: event.timestamp,
            received_at: self.clock.now(),
            payload: &event.payload,
        };
        match event.kind.as_str() {
            "deposits.created" | "deposits.updated" => {
                let payment = payment(event)?;
                self.payments
                    .record(Direction::Deposit, &payment, Some(&arrival))
                    .await?;
            }
            "redemptions.created" | "redemptions.updated" => {
                let payment = payment(event)?;
                self.payments
                    .refresh_redemption(&payment.id, Some(&arrival), deadline)
                    .await?;
            }
            "accounts.created" | "accounts.updated" => {
                self.refresh_account(event, &arrival, deadline).await?;
            }
            _ => self.record_unhandled(&arrival).await?,
        }
        Ok(())
    }

    async fn refresh_account(
        &self,
        event: &DriveWealthEvent,
        arrival: &Arrival<'_>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let id = account_of_event(&event.payload).map_err(|reason| unreadable(event, &reason))?;
        let state = self.broker.account(&id, deadline).await?;
        inbox::once(&self.database, arrival, async |connection| {
            account::apply_broker_state(connection, &state).await
        })
        .await?;
        Ok(())
    }

    async fn record_unhandled(&self, arrival: &Arrival<'_>) -> Result<(), Error> {
        let recorded = inbox::once(&self.database, arrival, async |_| Ok::<_, Error>(())).await?;
        if recorded.is_some() {
            let kind = arrival.kind;
            tracing::info!(
                event_id = arrival.event_id,
                kind,
                "recorded an event of an unhandled type"
            );
            metrics::count_with("UnhandledEvents", 1, &[("kind", kind)]);
        }
        Ok(())
    }
}

fn payment(event: &DriveWealthEvent) -> Result<Payment, Error> {
    payment_of_event(&event.payload, event.timestamp).map_err(|reason| unreadable(event, &reason))
}

fn unreadable(event: &DriveWealthEvent, reason: &dyn std::fmt::Display) -> Error {
    Error::Event {
        kind: event.kind.clone(),
        reason: reason.to_string(),
    }
}
