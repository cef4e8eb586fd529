//! Recording what the broker reports of a payment: by an event, or when it is looked up.
//!
//! Events, look-ups and the responses to orders all end in the same transitions ([`state`]): whatever comes first, late or
//! twice leaves the same state.

use domain::ids::DriveWealthPaymentId;
use domain::trading::money_flow::Direction;
use domain::trading::payment::PaymentStatus;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::messaging::relay_waker::RelayWaker;
use providers::drivewealth::{BAD_BODY, Payment};
use providers::outcome::{Decline, Outcome};
use sqlx::PgConnection;

use super::state::{self, Recorded};
use super::store::payment;
use crate::Error;
use crate::broker::{Broker, PARTY};

/// Records payments.
#[derive(Debug)]
pub struct PaymentRecorder {
    database: Database,
    broker: Broker,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(PaymentRecorder {
    database,
    broker,
    relay,
    clock
});

impl PaymentRecorder {
    #[cfg(test)]
    pub(super) fn with_clock(self, clock: ClockHandle) -> Self {
        Self { clock, ..self }
    }

    /// Records what the broker reports of a payment. With an arrival, the event is recorded in the same transaction, and
    /// nothing happens when it was recorded before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(
        &self,
        direction: Direction,
        payment: &Payment,
        arrival: Option<&Arrival<'_>>,
    ) -> Result<Recorded, Error> {
        let now = self.clock.now();
        let record =
            async |connection: &mut PgConnection| state::record(connection, direction, payment, now).await;
        let recorded = match arrival {
            Some(arrival) => inbox::once(&self.database, arrival, record)
                .await?
                .unwrap_or(Recorded::Duplicate),
            None => self.database.transaction(record).await?,
        };
        if recorded == Recorded::Changed {
            self.relay.wake().await;
        }
        Ok(recorded)
    }

    /// Fetches a redemption, approves it where it waits for us, and records its state then.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond.
    pub async fn refresh_redemption(
        &self,
        id: &DriveWealthPaymentId,
        arrival: Option<&Arrival<'_>>,
        deadline: Deadline,
    ) -> Result<Recorded, Error> {
        let redemption = self.broker.redemption(id, deadline).await?;
        if redemption.status != PaymentStatus::AwaitingApproval {
            return self.record(Direction::Withdrawal, &redemption, arrival).await;
        }
        // Recorded first: only a redemption that is known to be ours and under way is approved.
        self.record(Direction::Withdrawal, &redemption, None).await?;
        let newest = self.approve_ours(id, deadline).await?.unwrap_or(redemption);
        self.record(Direction::Withdrawal, &newest, arrival).await
    }

    /// Approves a redemption, where we may, and records its state then.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond.
    pub(super) async fn approve(&self, id: &DriveWealthPaymentId, deadline: Deadline) -> Result<(), Error> {
        if let Some(approved) = self.approve_ours(id, deadline).await? {
            self.record(Direction::Withdrawal, &approved, None).await?;
        }
        Ok(())
    }

    /// Approves, where we may; a redemption that does not wait any more is fetched instead.
    async fn approve_ours(
        &self,
        id: &DriveWealthPaymentId,
        deadline: Deadline,
    ) -> Result<Option<Payment>, Error> {
        let may_be_approved = self
            .database
            .with(async |connection| payment::may_be_approved(connection, id).await)
            .await?;
        if !may_be_approved {
            return Ok(None);
        }
        let client = self.broker.client().await?;
        let approved = match client.approve_redemption(id, deadline.instant()).await {
            Outcome::Declined(Decline { code, .. }) if code == BAD_BODY => {
                client.redemption(id, deadline.instant()).await
            }
            outcome => outcome,
        };
        Ok(Some(approved.done(PARTY)?))
    }
}
