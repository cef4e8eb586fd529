//! A portfolio's targets follow its account's cash: after a deposit or withdrawal, every target becomes the actual weight,
//! so that the autopilot neither invests new cash nor buys back what was withdrawn (README, Cash changes).

pub(crate) mod snapshot;
mod store;
pub(crate) mod targets;

use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use platform::messaging::event::Envelope;
use platform::messaging::inbox::{self, Arrival};
use platform::observability::telemetry;

use self::targets::CashTargets;
use crate::Error;
use crate::account_lease::AccountLeases;
use crate::account_lease::store as leases;
use crate::events::CashChanged;

/// The sender's name in the inbox.
const SOURCE: &str = "portfolio-changes";

/// Applies changes of cash to portfolios.
#[derive(Debug)]
pub struct CashChanges {
    database: Database,
    leases: AccountLeases,
    targets: CashTargets,
    clock: ClockHandle,
}

platform::from_environment!(CashChanges {
    database,
    leases,
    targets,
    clock
});

impl CashChanges {
    /// Saves the account's cash and sets the targets of its portfolio to its actual weights, once per event. A repetition
    /// after a crash between setting and recording sets them again from fresh figures, which is the same.
    ///
    /// While a run is under way its targets must stay: the change is remembered, and followed when the run has ended.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, its figures don't hold together, or somebody else is changing the account.
    pub async fn apply(&self, event: &Envelope<CashChanged>, deadline: Deadline) -> Result<(), Error> {
        telemetry::identify(event.data.profile_id.get());
        let event_id = event.id.to_string();
        if inbox::was_recorded(&self.database, SOURCE, &event_id).await? {
            return Ok(());
        }
        let payload = serde_json::value::to_raw_value(event).map_err(PlatformError::from)?;
        let arrival = Arrival {
            source: SOURCE,
            event_id: &event_id,
            kind: &event.kind,
            occurred_at: event.occurred_at,
            received_at: self.clock.now(),
            payload: &payload,
        };
        let account = &event.data.drivewealth_account_id;
        self.leases
            .under(account, deadline, async |_| {
                self.follow(&arrival, event, deadline).await
            })
            .await
    }

    async fn follow(
        &self,
        arrival: &Arrival<'_>,
        event: &Envelope<CashChanged>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let account = &event.data.drivewealth_account_id;
        let now = self.clock.now();
        let has_run = self
            .database
            .with(async |connection| leases::has_run_under_way(connection, account).await)
            .await?;
        if has_run {
            inbox::once(&self.database, arrival, async |connection| {
                leases::remember_cash_change(connection, account, now).await
            })
            .await?;
            return Ok(());
        }
        let result = self.targets.follow(account, deadline).await?;
        inbox::once(&self.database, arrival, async |connection| {
            result.save(connection, account).await?;
            leases::forget_cash_change(connection, account, now).await
        })
        .await?;
        Ok(())
    }
}
