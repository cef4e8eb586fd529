//! The lease on an account at DriveWealth: whoever changes the account's portfolio has it, so that a change of cash and an
//! order never cross each other. It ends by itself soon after its holder's time is over.

pub(crate) mod store;

use std::time::Duration;

use chrono::TimeDelta;
use domain::ids::DriveWealthAccountId;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use uuid::Uuid;

use crate::Error;

/// A lease lasts so much longer than its holder.
const MARGIN: Duration = Duration::from_secs(3);
/// Whoever finds it taken tries so often, this long apart.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// The leases on accounts.
#[derive(Debug)]
pub(crate) struct AccountLeases {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(AccountLeases { database, clock });

/// A lease.
#[derive(Debug)]
pub(crate) struct Lease {
    account: DriveWealthAccountId,
    id: Uuid,
}

impl Lease {
    /// The account.
    pub(crate) fn account(&self) -> &DriveWealthAccountId {
        &self.account
    }
}

impl AccountLeases {
    /// Does some work under the lease, and gives it back, whatever came of the work.
    ///
    /// # Errors
    /// Those of the work; transient while somebody else has the lease.
    pub(crate) async fn under<T>(
        &self,
        account: &DriveWealthAccountId,
        deadline: Deadline,
        work: impl AsyncFnOnce(&Lease) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let lease = self.acquire(account, deadline).await?;
        let done = work(&lease).await;
        // One that isn't given back ends by itself.
        let released = self
            .database
            .with(async |connection| store::release(connection, account, lease.id).await)
            .await;
        if let Err(error) = released {
            tracing::warn!(%error, "the lease on an account was not released");
        }
        done
    }

    async fn acquire(&self, account: &DriveWealthAccountId, deadline: Deadline) -> Result<Lease, Error> {
        let id = Uuid::now_v7();
        for _ in 0..TRIES {
            let now = self.clock.now();
            let lasts = TimeDelta::from_std(deadline.left() + MARGIN).unwrap_or(TimeDelta::MAX);
            let until = now.checked_add_signed(lasts).unwrap_or(now);
            let is_acquired = self
                .database
                .with(async |connection| store::acquire(connection, account, id, now, until).await)
                .await?;
            if is_acquired {
                let account = account.clone();
                return Ok(Lease { account, id });
            }
            if deadline.left() <= BETWEEN_TRIES {
                break;
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Err(Error::AccountBusy)
    }
}

impl Lease {
    /// Makes sure within a transaction that the lease is still held: nobody else takes it before that ends.
    ///
    /// # Errors
    /// Transient when it has ended and somebody else has taken it.
    pub(crate) async fn hold(&self, connection: &mut sqlx::PgConnection) -> Result<(), Error> {
        if store::is_held(connection, &self.account, self.id).await? {
            Ok(())
        } else {
            Err(Error::AccountBusy)
        }
    }
}
