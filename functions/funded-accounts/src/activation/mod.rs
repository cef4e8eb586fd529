//! Activation: a trader whose assessment is passed gets an account, once, with its live state. A saga; see README.

mod message;
mod steps;
mod store;
#[cfg(test)]
mod tests;

use platform::clock::ClockHandle;
use platform::database::Database;
use platform::messaging::relay_waker::RelayWaker;
use sqlx::PgConnection;

use crate::Error;
use crate::live::store::LiveTable;
use crate::saga::store::StoredJournal;
use crate::saga::{Steps, execute};
use message::Assessment;
use steps::Activation;

pub use message::AssessmentCompleted;

/// Activates accounts.
#[derive(Debug)]
pub struct Activator {
    database: Database,
    live: LiveTable,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Activator {
    database,
    live,
    relay,
    clock,
});

impl Activator {
    /// Records an assessment; one that is passed gets its account, unless it has one.
    ///
    /// # Errors
    /// Rejected for a tier that isn't there, and for an assessment without its time or of another trader: nothing is left of
    /// the account then. Transient when the database or DynamoDB can't be reached: it goes on from there the next time.
    pub async fn activate(&self, message: &AssessmentCompleted) -> Result<(), Error> {
        let recorded = self
            .database
            .transaction(async |connection| record(connection, message).await)
            .await?;
        let Some(passed) = recorded else {
            return Ok(());
        };
        let activation = Activation {
            database: &self.database,
            live: &self.live,
            clock: &self.clock,
            assessment: &passed,
        };
        let journal = StoredJournal {
            database: &self.database,
            clock: &self.clock,
            saga: Activation::<LiveTable>::SAGA.name,
            subject: passed.id.as_str(),
        };
        execute(&activation, &journal).await?;
        self.relay.wake().await;
        Ok(())
    }
}

/// Records who took the assessment and how it ended; gives it when there is an account to be made. What was told later counts,
/// also where it has come before.
async fn record(
    connection: &mut PgConnection,
    message: &AssessmentCompleted,
) -> Result<Option<Assessment>, Error> {
    let assessment = message.assessment()?;
    store::record_trader(connection, message, assessment.completed_at).await?;
    let newest = store::record_assessment(connection, &assessment).await?;
    let newest = newest.ok_or(Error::AssessmentOfAnother)?;
    let is_done = store::is_activated(connection, &assessment.id).await?;
    let passed = Assessment {
        tier_id: newest.tier_id,
        ..assessment
    };
    Ok((newest.is_passed && !is_done).then_some(passed))
}
