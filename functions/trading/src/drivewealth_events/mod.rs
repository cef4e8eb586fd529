//! DriveWealth's events: delivered at least once, in no order.
//!
//! Each is recorded once, in the transaction of its effect. Deposits carry their state; an event of a redemption, an
//! account, an instrument, a user or a check is a hint, and its state is fetched. Types that nobody handles yet are recorded
//! and counted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::trading::money_flow::Direction;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::messaging::inbox::{self, Arrival, Kept};
use platform::observability::metrics;
use providers::drivewealth::{
    Payment, account_of_event, instrument_of_event, payment_of_event, user_of_event,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::broker::{Broker, PARTY};
use crate::money_flow::PaymentRecorder;
use crate::onboarding::Onboarding;
use crate::{Error, account, instrument};

/// The sender's name in the inbox.
const SOURCE: &str = "drivewealth";

/// Kinds of events that take a user on.
const TAKEN_ON: [&str; 4] = ["users.created", "users.updated", "kyc.created", "kyc.updated"];
/// The most kept events that one run handles.
const MAX_REPLAYED: i64 = 1_000;
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);

/// An event as it comes.
#[derive(Debug, Deserialize)]
pub struct DriveWealthEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: DateTime<Utc>,
    payload: Box<RawValue>,
}

impl From<Kept> for DriveWealthEvent {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.event_id,
            kind: kept.kind,
            timestamp: kept.occurred_at,
            payload: kept.payload,
        }
    }
}

/// Applies DriveWealth's events.
#[derive(Debug)]
pub struct DriveWealthEvents {
    database: Database,
    broker: Broker,
    payments: PaymentRecorder,
    onboarding: Onboarding,
    clock: ClockHandle,
}

platform::from_environment!(DriveWealthEvents {
    database,
    broker,
    payments,
    onboarding,
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
            kind if TAKEN_ON.contains(&kind) => {
                self.take_on(event, deadline).await?;
                inbox::once(&self.database, &arrival, async |_| Ok::<_, Error>(())).await?;
            }
            "instruments.created" | "instruments.updated" => {
                self.refresh_instrument(event, &arrival, deadline).await?;
            }
            _ => self.record_unhandled(&arrival).await?,
        }
        Ok(())
    }

    /// Handles events that earlier releases only kept, each once; gives how many there were, and how many failed and stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay(&self, deadline: Deadline) -> Result<(u32, u32), Error> {
        let kinds = TAKEN_ON.map(str::to_owned);
        let kept = inbox::kept(&self.database, SOURCE, &kinds, MAX_REPLAYED).await?;
        let (mut replayed, mut failed) = (0, 0);
        for event in kept {
            if deadline.left() < RESERVE {
                break;
            }
            let (id, event) = (event.event_id.clone(), DriveWealthEvent::from(event));
            replayed += 1;
            match self.take_on(&event, deadline).await {
                Ok(()) => drop(inbox::set_handled(&self.database, SOURCE, &id).await?),
                Err(error) => {
                    tracing::warn!(
                        event_id = id,
                        error = chain(&error),
                        "handling a kept event failed"
                    );
                    failed += 1;
                }
            }
        }
        Ok((replayed, failed))
    }

    async fn refresh_account(
        &self,
        event: &DriveWealthEvent,
        arrival: &Arrival<'_>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let id = account_of_event(&event.payload).map_err(|reason| unreadable(event, &reason))?;
        let state = self.broker.account(&id, deadline).await?;
        // An account that is new takes its user on.
        if let Some(user) = &state.user_id {
            self.onboarding.advance_if_under_way(user, deadline).await?;
        }
        inbox::once(&self.database, arrival, async |connection| {
            account::apply_broker_state(connection, &state).await
        })
        .await?;
        Ok(())
    }

    /// Takes the event's user on: what the event says is fetched, and what follows from it done. Every step can be taken
    /// again, so that the event is recorded behind them.
    async fn take_on(&self, event: &DriveWealthEvent, deadline: Deadline) -> Result<(), Error> {
        let user = user_of_event(&event.payload).map_err(|reason| unreadable(event, &reason))?;
        self.onboarding.advance(&user, deadline).await
    }

    async fn refresh_instrument(
        &self,
        event: &DriveWealthEvent,
        arrival: &Arrival<'_>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let id = instrument_of_event(&event.payload).map_err(|reason| unreadable(event, &reason))?;
        let as_of = self.clock.now();
        let client = self.broker.client().await?;
        let told = client.instrument(&id, deadline.instant()).await.done(PARTY)?;
        let known: Vec<_> = instrument::known(told).into_iter().collect();
        inbox::once(&self.database, arrival, async |connection| {
            instrument::store::save_all(connection, &known, as_of).await
        })
        .await?;
        Ok(())
    }

    async fn record_unhandled(&self, arrival: &Arrival<'_>) -> Result<(), Error> {
        if inbox::record_unhandled(&self.database, arrival).await? {
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
