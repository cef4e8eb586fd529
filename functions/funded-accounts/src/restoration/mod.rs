//! Opening an account again that a wrong tick has closed. A person does it, with a reason.

pub mod request;
pub(crate) mod store;

use domain::funded::FundedAccountStatus;
use domain::funded::live::Breach;
use domain::funded::snapshot::Place;
use domain::ids::{FundedAccountId, UserId};
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;

use crate::Error;
use crate::account::store as accounts;
use crate::account::view::LiveFundedAccountView;
use crate::live::store::{LiveAccount, LiveTable};
use request::{Restoration, RestorationRequest};

/// Opens accounts again.
#[derive(Debug)]
pub struct Restorer {
    database: Database,
    table: LiveTable,
    clock: ClockHandle,
}

impl FromEnvironment for Restorer {
    fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let table = LiveTable::read(environment);
        let clock = ClockHandle::read(environment);
        Some(Self {
            database: database?,
            table: table?,
            clock: clock?,
        })
    }
}

impl Restorer {
    /// Opens an account again as if the wrong snapshots had never come. The record learns first that this breach closes the
    /// account no more: the live state's stream, or one of its older records, finds it so.
    ///
    /// # Errors
    /// Not found for no account; a conflict for one that isn't closed, or that another snapshot would close at once.
    pub async fn restore(
        &self,
        id: FundedAccountId,
        request: RestorationRequest,
    ) -> Result<LiveFundedAccountView, Error> {
        let restoration = request.check()?;
        let known = self.table.get(id).await?.ok_or(Error::AccountNotFound)?;
        let owner = self.owner(id).await?;
        let breach = self.breach(&known, id, owner).await?;
        // Whether it can be is known before anything is written.
        restored(&known, &breach, &restoration)?;
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                store::restore(connection, id, &breach, &restoration.reason, now).await
            })
            .await?;
        let live = self
            .table
            .change(id, |known| match known.live.status() {
                FundedAccountStatus::Active => Ok(None),
                FundedAccountStatus::Closed => {
                    restored(known, &breach, &restoration).map(|known| Some(known.live))
                }
            })
            .await?;
        let account = self
            .database
            .with(async |connection| accounts::find(connection, owner, id).await)
            .await?;
        let account = account.ok_or(Error::AccountNotFound)?;
        Ok(LiveFundedAccountView::of(&account, Some(&live)))
    }

    async fn owner(&self, id: FundedAccountId) -> Result<UserId, Error> {
        let owner = self
            .database
            .with(async |connection| store::owner(connection, id).await)
            .await?;
        owner.ok_or(Error::AccountNotFound)
    }

    /// Why the account is closed: by its live state, or, where an earlier try was interrupted, by its record.
    async fn breach(&self, known: &LiveAccount, id: FundedAccountId, owner: UserId) -> Result<Breach, Error> {
        if let Some(breach) = &known.live.breach {
            return Ok(breach.clone());
        }
        let account = self
            .database
            .with(async |connection| accounts::find(connection, owner, id).await)
            .await?;
        let breach = account.and_then(|account| account.breach);
        breach.map(|breach| breach.0).ok_or(Error::NotClosed)
    }
}

/// The account without the wrong snapshots: those that are named, of the breach's epoch, or the breach's own.
fn restored(known: &LiveAccount, breach: &Breach, restoration: &Restoration) -> Result<LiveAccount, Error> {
    let in_epoch = |sequence: &i64| Place {
        epoch: breach.place.epoch,
        sequence: *sequence,
    };
    let mut discarded: Vec<Place> = restoration.sequences.iter().map(in_epoch).collect();
    if discarded.is_empty() {
        discarded.push(breach.place);
    }
    Ok(LiveAccount {
        live: known.live.restored(&known.thresholds, &discarded)?,
        ..known.clone()
    })
}
