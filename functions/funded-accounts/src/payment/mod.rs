//! The payment of a withdrawal: one saga each, gone on with by whoever gets its message, and made up for by the sweep.

mod bank;
mod reported;
mod steps;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use domain::funded::withdrawal::NotAllowed;
use domain::ids::WithdrawalId;
use domain::lane::{Lane, Laned};
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::event::Envelope;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use serde::{Deserialize, Serialize};

use crate::live::store::LiveTable;
use crate::processor::Processor;
use crate::saga::store::StoredJournal;
use crate::saga::{Journal, Steps, execute};
use crate::withdrawal::{outcome, store as withdrawals};
use crate::{Error, events, review};
use bank::AtStripe;
pub(crate) use reported::{PayoutReports, record_reported};
use steps::Paying;
use store::Payment;

/// How long money waits for another bank account before it is taken back.
pub(crate) const WAITS_FOR_BANK: TimeDelta = TimeDelta::days(14);
/// Why a withdrawal has failed that a person gave up.
const GIVEN_UP: &str = "given_up";

/// A step of a withdrawal is due.
pub type StepDue = Envelope<DueWithdrawal>;

/// The message's data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DueWithdrawal {
    /// The withdrawal.
    pub withdrawal_id: WithdrawalId,
}

/// Pays withdrawals.
#[derive(Debug)]
pub struct Payments {
    database: Database,
    table: LiveTable,
    processor: Processor,
    relay: RelayWaker,
    clock: ClockHandle,
}

impl FromEnvironment for Payments {
    fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let table = LiveTable::read(environment);
        let processor = Processor::read(environment);
        let relay = RelayWaker::read(environment);
        let clock = ClockHandle::read(environment);
        Some(Self {
            database: database?,
            table: table?,
            processor: processor?,
            relay: relay?,
            clock: clock?,
        })
    }
}

impl Payments {
    /// Goes on with a withdrawal as far as it comes, unless somebody else does, or it waits for somebody.
    ///
    /// # Errors
    /// When the database fails: the message comes again.
    pub async fn go_on(&self, due: &DueWithdrawal, deadline: Deadline) -> Result<(), Error> {
        let id = due.withdrawal_id;
        let now = self.clock.now();
        let is_ours = self
            .database
            .with(async |connection| store::lease(connection, id, now).await)
            .await?;
        if !is_ours {
            return Ok(());
        }
        let came_to = self.work(id, deadline).await;
        let settled = self.settle(id, came_to).await;
        let at = self.clock.now();
        self.database
            .with(async |connection| store::give_back(connection, id, at).await)
            .await?;
        self.relay.wake().await;
        settled
    }

    async fn work(&self, id: WithdrawalId, deadline: Deadline) -> Result<(), Error> {
        let payment = self
            .database
            .with(async |connection| store::load(connection, id).await)
            .await?;
        let bank = AtStripe {
            processor: &self.processor,
            deadline,
        };
        let paying = Paying {
            database: &self.database,
            bank: &bank,
            live: &self.table,
            clock: &self.clock,
            id,
        };
        let subject = id.to_string();
        let journal = StoredJournal {
            database: &self.database,
            clock: &self.clock,
            saga: Paying::<AtStripe<'_>, LiveTable>::SAGA.name,
            subject: &subject,
        };
        match self.turn(&payment) {
            Turn::Waits => Ok(()),
            Turn::GivesUp(code) => {
                undo_all(&paying).await?;
                journal.forget().await?;
                Err(Error::Unpayable(code))
            }
            Turn::GoesOn => {
                self.take_up(&payment, &journal).await?;
                execute(&paying, &journal).await
            }
        }
    }

    /// Whose turn it is.
    fn turn(&self, payment: &Payment) -> Turn {
        let code = || {
            payment
                .failure_code
                .clone()
                .unwrap_or_else(|| GIVEN_UP.to_owned())
        };
        match payment.returned_at {
            _ if payment.gives_up => Turn::GivesUp(code()),
            Some(at) if self.clock.now().signed_duration_since(at) >= WAITS_FOR_BANK => Turn::GivesUp(code()),
            Some(_) if !payment.has_another_bank() => Turn::Waits,
            _ => Turn::GoesOn,
        }
    }

    /// A payout that came back is made anew, of the same transfer, to the trader's present bank account; what was released is
    /// judged anew where its transfer was refused.
    async fn take_up(&self, payment: &Payment, journal: &impl Journal) -> Result<(), Error> {
        if payment.returned_at.is_some() {
            self.database
                .with(async |connection| store::to_present_bank(connection, payment).await)
                .await?;
        }
        let progress = journal.progress().await?;
        let resumed = payment.resumed(progress);
        if resumed != progress {
            journal.note(resumed).await?;
        }
        Ok(())
    }

    /// What follows from how far it came.
    async fn settle(&self, id: WithdrawalId, came_to: Result<(), Error>) -> Result<(), Error> {
        let now = self.clock.now();
        match came_to {
            Ok(()) => Ok(()),
            Err(Error::NotAllowed(reasons)) => self.not_allowed(id, &reasons, now).await,
            Err(Error::Unpayable(code)) => self.failed(id, &code, now).await,
            Err(Error::RefusedByStripe(code)) => self.parked(id, &code, now).await,
            Err(error) if waits(&error) => {
                tracing::warn!(withdrawal_id = %id, %error, "the withdrawal waits");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Something has changed since it was approved: its account is closed, or a person looks at it once more.
    async fn not_allowed(
        &self,
        id: WithdrawalId,
        reasons: &[NotAllowed],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.database
            .transaction(async |connection| {
                let withdrawal = withdrawals::lock(connection, id).await?;
                let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
                if reasons.contains(&NotAllowed::AccountClosed) {
                    let account = [withdrawal.funded_account_id.get()];
                    return outcome::accounts_closed(connection, &account, now).await;
                }
                let words: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                if store::back_to_review(connection, id, &words.join("; ")).await? {
                    let withdrawal = withdrawals::find(connection, id).await?;
                    let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
                    review::withdrawal_waits(connection, &withdrawal, now).await?;
                }
                Ok(())
            })
            .await
    }

    async fn failed(&self, id: WithdrawalId, code: &str, now: DateTime<Utc>) -> Result<(), Error> {
        self.database
            .transaction(async |connection| {
                let withdrawal = withdrawals::lock(connection, id).await?;
                let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
                if !store::fail(connection, id, code, now).await? {
                    return Ok(());
                }
                review::withdrawal_settled(connection, &withdrawal, "it has failed", now).await?;
                let reason = Some(code);
                events::publish_withdrawal(connection, events::WITHDRAWAL_FAILED, &withdrawal, reason, now)
                    .await
            })
            .await
    }

    async fn parked(&self, id: WithdrawalId, code: &str, now: DateTime<Utc>) -> Result<(), Error> {
        tracing::error!(withdrawal_id = %id, code, "Stripe refuses a withdrawal");
        metrics::count("RefusedPayouts", 1);
        self.database
            .transaction(async |connection| {
                let withdrawal = withdrawals::lock(connection, id).await?;
                let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
                store::park(connection, id, now).await?;
                review::withdrawal_refused(connection, &withdrawal, code, now).await
            })
            .await
    }
}

/// Whose turn a withdrawal makes it.
enum Turn {
    GoesOn,
    /// For another bank account of the trader.
    Waits,
    /// Its money is taken back, for this reason.
    GivesUp(String),
}

/// Undoes every step, the last first, whatever was done of it.
async fn undo_all<S: Steps>(steps: &S) -> Result<(), Error> {
    for step in S::SAGA.steps.iter().rev() {
        steps.undo(*step).await?;
    }
    Ok(())
}

/// Whether it is only a matter of time. The database's failures have the message come again instead.
fn waits(error: &Error) -> bool {
    match error {
        Error::WithdrawalWaits(_) | Error::LiveStateUnknown => true,
        Error::Provider(error) => error.lane() == Lane::Transient,
        _ => false,
    }
}
