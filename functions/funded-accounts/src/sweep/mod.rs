//! The sweep: every active account whose record or rules lag behind its live state, because a record of the stream was lost
//! or a threshold was changed; and withdrawals whose next step is due. So many statements as one, however many accounts.

pub(crate) mod store;

use std::collections::HashMap;

use chrono::TimeDelta;
use domain::funded::thresholds::Thresholds;
use domain::ids::FundedAccountId;
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use serde::Serialize;

use crate::consequence::Consequences;
use crate::live::store::{LiveAccount, LiveSummary, LiveTable};
use crate::payment::{WAITS_FOR_BANK, store as payments};
use crate::record::store as records;
use crate::{Error, events};
use store::ActiveAccount;

/// How long a withdrawal may be on its way before somebody has to look.
const STUCK_AFTER: TimeDelta = TimeDelta::hours(24);

/// What a sweep did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Active accounts.
    pub accounts: usize,
    /// Records that were behind.
    pub recorded: u64,
    /// Warnings that weren't told.
    pub warnings: usize,
    /// Accounts that weren't closed.
    pub closures: usize,
    /// Accounts that are held to other thresholds now.
    pub thresholds: usize,
    /// Withdrawals whose next step was due.
    pub steps: usize,
    /// Active accounts without a live state: a person restores the table.
    pub missing: usize,
}

/// Sweeps.
#[derive(Debug)]
pub struct Sweep {
    database: Database,
    table: LiveTable,
    consequences: Consequences,
    relay: RelayWaker,
    clock: ClockHandle,
}

impl FromEnvironment for Sweep {
    fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let table = LiveTable::read(environment);
        let consequences = Consequences::read(environment);
        let relay = RelayWaker::read(environment);
        let clock = ClockHandle::read(environment);
        Some(Self {
            database: database?,
            table: table?,
            consequences: consequences?,
            relay: relay?,
            clock: clock?,
        })
    }
}

impl Sweep {
    /// Makes up for what was missed.
    ///
    /// # Errors
    /// Transient when the database or DynamoDB fails; the next run makes up for it.
    pub async fn run(&self) -> Result<Report, Error> {
        let steps = self.withdrawals().await?;
        let live = self.table.all().await?;
        let active = self
            .database
            .with(async |connection| store::active(connection).await)
            .await?;
        let found = Found::compare(active, live);
        let recorded = self.record(&found.behind).await?;
        let done = self.consequences.carry_out(&found.live).await?;
        for (id, thresholds) in &found.otherwise_held {
            self.hold_to(*id, thresholds).await?;
        }
        if found.missing > 0 {
            metrics::count(
                "MissingLiveStates",
                u64::try_from(found.missing).unwrap_or_default(),
            );
        }
        Ok(Report {
            accounts: found.accounts,
            recorded,
            warnings: done.warnings,
            closures: done.closures,
            thresholds: found.otherwise_held.len(),
            steps,
            missing: found.missing,
        })
    }

    /// Has withdrawals go on whose next step is due, for whatever reason it wasn't taken.
    async fn withdrawals(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let (steps, stuck) = self
            .database
            .transaction(async |connection| {
                let due = payments::take_due(connection, now - WAITS_FOR_BANK, now).await?;
                events::publish_steps(connection, &due, now).await?;
                let stuck = payments::stuck(connection, now - STUCK_AFTER).await?;
                Ok::<_, Error>((due.len(), stuck))
            })
            .await?;
        if stuck > 0 {
            tracing::error!(stuck, "withdrawals are on their way for longer than a day");
            metrics::count("StuckWithdrawals", u64::try_from(stuck).unwrap_or_default());
        }
        if steps > 0 {
            self.relay.wake().await;
        }
        Ok(steps)
    }

    async fn record(&self, behind: &[LiveSummary]) -> Result<u64, Error> {
        if behind.is_empty() {
            return Ok(0);
        }
        self.database
            .with(async |connection| records::record(connection, behind).await)
            .await
    }

    /// Holds an account to other thresholds; what follows comes by the stream.
    async fn hold_to(&self, id: FundedAccountId, thresholds: &Thresholds) -> Result<(), Error> {
        let changed = self.table.change_whole(id, |known| {
            Ok((known.thresholds != *thresholds).then(|| LiveAccount {
                thresholds: thresholds.clone(),
                live: known.live.held_to(thresholds),
                ..known.clone()
            }))
        });
        changed.await.map(drop)
    }
}

/// Where records and live states differ.
#[derive(Debug, Default)]
struct Found {
    accounts: usize,
    missing: usize,
    /// The live states of active accounts.
    live: Vec<LiveSummary>,
    /// Those that are newer than their records.
    behind: Vec<LiveSummary>,
    /// Accounts with the thresholds that their records have by now.
    otherwise_held: Vec<(FundedAccountId, Thresholds)>,
}

impl Found {
    fn compare(active: Vec<ActiveAccount>, live: Vec<LiveSummary>) -> Self {
        let mut live: HashMap<FundedAccountId, LiveSummary> = live
            .into_iter()
            .map(|live| (live.funded_account_id, live))
            .collect();
        let mut found = Self::default();
        for account in active {
            found.accounts = found.accounts.saturating_add(1);
            let Some(live) = live.remove(&account.id) else {
                tracing::error!(funded_account_id = %account.id, "an active account has no live state");
                found.missing = found.missing.saturating_add(1);
                continue;
            };
            if live.version > account.live_version {
                found.behind.push(live.clone());
            }
            if live.terms != account.thresholds.0 && live.breach.is_none() {
                found.otherwise_held.push((account.id, account.thresholds.0));
            }
            found.live.push(live);
        }
        found
    }
}
