//! How many reviews wait, and for how long: a state, reported again and again until nobody has to do anything.

use platform::clock::ClockHandle;
use platform::database::Database;
use platform::observability::metrics;

use super::store;
use super::view::ReviewReport;
use crate::Error;

/// Reports how reviews stand.
#[derive(Debug)]
pub struct ReviewWatch {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(ReviewWatch { database, clock });

impl ReviewWatch {
    /// Counts what waits and reports it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report(&self) -> Result<ReviewReport, Error> {
        let report = self
            .database
            .with(async |connection| store::waiting(connection).await)
            .await?;
        let now = self.clock.now();
        let age = report
            .oldest_decision_at
            .map_or(0, |since| (now - since).num_seconds());
        metrics::count("OpenReviews", u64::try_from(report.open).unwrap_or(0));
        metrics::seconds("OldestDecisionAgeSeconds", u64::try_from(age).unwrap_or(0));
        Ok(report)
    }
}
