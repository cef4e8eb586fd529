//! DriveWealth's events: delivered at least once, in no order.
//!
//! Each is recorded once, in the transaction of its effect. Deposits and documents carry all that there is to know; an event of
//! a redemption, an account, an instrument, a user or a check is a hint, and its state is fetched. Types that nobody handles yet
//! are recorded and counted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthPaymentId;
use domain::trading::money_flow::Direction;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::messaging::inbox::{self, Arrival, Kept};
use platform::observability::metrics;
use providers::drivewealth::{
    Payment, StatementKind, account_of_event, instrument_of_event, payment_of_event, statement_of_event,
    user_of_event,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::broker::{Broker, PARTY};
use crate::money_flow::PaymentRecorder;
use crate::onboarding::Onboarding;
use crate::{Error, account, instrument, statement};

/// The sender's name in the inbox.
const SOURCE: &str = "drivewealth";

/// Kinds of events that take a user on.
const TAKEN_ON: [&str; 4] = ["users.created", "users.updated", "kyc.created", "kyc.updated"];
/// Kinds of events that tell of a document.
const DOCUMENTS: [&str; 3] = ["statements.created", "tradeconfirms.created", "taxforms.created"];
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
                let redemption = redemption(event)?;
                self.payments
                    .refresh_redemption(&redemption, Some(&arrival), deadline)
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
            kind if DOCUMENTS.contains(&kind) => {
                inbox::once(&self.database, &arrival, async |connection| {
                    save_document(connection, event).await
                })
                .await?;
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
        let kinds: Vec<String> = TAKEN_ON.into_iter().chain(DOCUMENTS).map(str::to_owned).collect();
        let kept = inbox::kept(&self.database, SOURCE, &kinds, MAX_REPLAYED).await?;
        let (mut replayed, mut failed) = (0, 0);
        for event in kept {
            if deadline.left() < RESERVE {
                break;
            }
            let (id, event) = (event.event_id.clone(), DriveWealthEvent::from(event));
            replayed += 1;
            match self.handle_kept(&event, deadline).await {
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

    /// Handles an event that is recorded already; every effect can be had again.
    async fn handle_kept(&self, event: &DriveWealthEvent, deadline: Deadline) -> Result<(), Error> {
        if TAKEN_ON.contains(&event.kind.as_str()) {
            return self.take_on(event, deadline).await;
        }
        self.database
            .with(async |connection| save_document(connection, event).await)
            .await
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

/// Saves the document that an event tells of. Whose account it is needn't be known yet.
async fn save_document(connection: &mut PgConnection, event: &DriveWealthEvent) -> Result<(), Error> {
    let Some(kind) = StatementKind::of_event(&event.kind) else {
        return Ok(());
    };
    let (account, told) =
        statement_of_event(kind, &event.payload).map_err(|reason| unreadable(event, &reason))?;
    statement::store::save_all(connection, &account, &[told], event.timestamp).await?;
    Ok(())
}

fn payment(event: &DriveWealthEvent) -> Result<Payment, Error> {
    payment_of_event(&event.payload, event.timestamp).map_err(|reason| unreadable(event, &reason))
}

/// The redemption of an event: the rest of it, which is fetched, needn't be readable.
fn redemption(event: &DriveWealthEvent) -> Result<DriveWealthPaymentId, Error> {
    #[derive(Deserialize)]
    struct RedemptionEvent {
        #[serde(rename = "paymentID")]
        payment_id: DriveWealthPaymentId,
    }
    let named: RedemptionEvent =
        serde_json::from_str(event.payload.get()).map_err(|reason| unreadable(event, &reason))?;
    Ok(named.payment_id)
}

fn unreadable(event: &DriveWealthEvent, reason: &dyn std::fmt::Display) -> Error {
    Error::Event {
        kind: event.kind.clone(),
        reason: reason.to_string(),
    }
}
