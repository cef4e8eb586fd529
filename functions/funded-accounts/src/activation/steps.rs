//! The saga of an activation: account, live state, announcement.

use domain::funded::live::Live;
use domain::funded::saga::Saga;
use domain::funded::thresholds::Thresholds;
use domain::ids::FundedAccountId;
use platform::clock::ClockHandle;
use platform::database::Database;

use super::message::Assessment;
use super::store::{self, Account};
use crate::Error;
use crate::live::store::LiveTable;
use crate::saga::Steps;
use crate::tier::store as tiers;

/// A step of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The account and its record are written; nobody sees them yet.
    Account,
    /// Its live state is there.
    LiveState,
    /// It is shown, and others hear of it.
    Announcement,
}

/// Where the live states of accounts are.
pub(super) trait LiveStates {
    /// Makes the live state of an account unless it is there.
    async fn open(&self, id: FundedAccountId, thresholds: &Thresholds, live: &Live) -> Result<(), Error>;

    /// Takes it away, if it is there.
    async fn remove(&self, id: FundedAccountId) -> Result<(), Error>;
}

impl LiveStates for LiveTable {
    async fn open(&self, id: FundedAccountId, thresholds: &Thresholds, live: &Live) -> Result<(), Error> {
        self.create(id, thresholds, live, 1).await
    }

    async fn remove(&self, id: FundedAccountId) -> Result<(), Error> {
        self.delete(id).await
    }
}

/// The activation of one account.
#[derive(Debug)]
pub(super) struct Activation<'a, L> {
    pub(super) database: &'a Database,
    pub(super) live: &'a L,
    pub(super) clock: &'a ClockHandle,
    pub(super) assessment: &'a Assessment,
}

impl<L: LiveStates> Steps for Activation<'_, L> {
    type Step = Step;
    const SAGA: Saga<Step> = Saga {
        name: "activation",
        steps: &[Step::Account, Step::LiveState, Step::Announcement],
    };

    async fn run(&self, step: Step) -> Result<(), Error> {
        match step {
            Step::Account => self.write_account().await,
            Step::LiveState => self.open_live_state().await,
            Step::Announcement => self.announce().await,
        }
    }

    async fn undo(&self, step: Step) -> Result<(), Error> {
        // An account that is announced is traded already.
        let Some(account) = self.account().await?.filter(|account| !account.is_activated) else {
            return Ok(());
        };
        match step {
            Step::Account => {
                self.database
                    .with(async |connection| store::delete(connection, account.id).await)
                    .await
            }
            Step::LiveState => self.live.remove(account.id).await,
            // It is one transaction: there is nothing of one that failed.
            Step::Announcement => Ok(()),
        }
    }
}

impl<L: LiveStates> Activation<'_, L> {
    async fn write_account(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                let tier = tiers::find(connection, &self.assessment.tier_id).await?;
                let tier = tier.ok_or_else(|| Error::TierNotFound(self.assessment.tier_id.to_string()))?;
                let thresholds = tier.thresholds();
                let live = Live::opened(&thresholds, now);
                store::insert(connection, self.assessment, &tier, &thresholds, &live).await
            })
            .await
    }

    async fn open_live_state(&self) -> Result<(), Error> {
        let account = self.account().await?.ok_or(Error::AccountNotFound)?;
        let thresholds = account.thresholds.0;
        let live = Live::opened(&thresholds, account.opened_at);
        self.live.open(account.id, &thresholds, &live).await
    }

    async fn announce(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| store::announce(connection, self.assessment, now).await)
            .await
    }

    async fn account(&self) -> Result<Option<Account>, Error> {
        self.database
            .with(async |connection| store::find(connection, &self.assessment.id).await)
            .await
    }
}
