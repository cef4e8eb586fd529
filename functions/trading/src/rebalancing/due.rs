//! The schedules: accounts whose orders are due, and accounts whose runs are asked about. Each becomes a message of its
//! account's group, handled one after the other with the orders that come in.

use chrono::TimeDelta;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::entry::schedule::ScheduledRun;
use platform::messaging::relay_waker::RelayWaker;
use serde::Serialize;

use super::store::{runs, versions};
use crate::{Error, events};

/// A run is asked about so often; a little less than the schedule's minute, whose runs come some seconds early or late.
const POLLED_EVERY: TimeDelta = TimeDelta::seconds(45);

/// What a schedule has found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Accounts that a message was sent for.
    pub accounts: usize,
}

/// Queues every account with orders that are due.
#[derive(Debug)]
pub struct DueVersions {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(DueVersions {
    database,
    relay,
    clock
});

impl DueVersions {
    /// Sends a message for each account with pending versions that are due. Run twice, it sends them twice, which does no
    /// harm.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, scheduled: ScheduledRun) -> Result<Report, Error> {
        let now = scheduled.executed_at(&self.clock);
        let accounts = self
            .database
            .transaction(async |connection| {
                let due = versions::accounts_due(connection, now).await?;
                let accounts = due.len();
                events::publish_accounts_due(connection, now, due).await?;
                Ok::<_, Error>(accounts)
            })
            .await?;
        if accounts > 0 {
            self.relay.wake().await;
        }
        Ok(Report { accounts })
    }
}

/// Queues every account with a run that hasn't ended.
#[derive(Debug)]
pub struct RunPolls {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(RunPolls {
    database,
    relay,
    clock
});

impl RunPolls {
    /// Sends a message for each account with a run that hasn't ended and wasn't asked about just now. That is also how a
    /// planned run whose message was given up comes to be pushed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, scheduled: ScheduledRun) -> Result<Report, Error> {
        let now = scheduled.executed_at(&self.clock);
        let accounts = self
            .database
            .transaction(async |connection| {
                let due = runs::take_to_poll(connection, now - POLLED_EVERY, now).await?;
                let accounts = due.len();
                events::publish_accounts_due(connection, now, due).await?;
                Ok::<_, Error>(accounts)
            })
            .await?;
        if accounts > 0 {
            self.relay.wake().await;
        }
        Ok(Report { accounts })
    }
}
