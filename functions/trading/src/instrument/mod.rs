//! The instruments that can be traded, as DriveWealth lists them (README, Collections).

pub(crate) mod store;

use domain::trading::collection::symbol::Symbol;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::drivewealth::Instrument;
use serde::Serialize;

use self::store::Known;
use crate::Error;
use crate::broker::{Broker, PARTY};

/// What a refresh has found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Instruments that DriveWealth lists.
    pub listed: usize,
    /// Those that can be traded, in fractions.
    pub tradable: usize,
    /// Those that couldn't be read, or whose symbol is none that we take.
    pub skipped: usize,
}

/// Fetches all instruments.
#[derive(Debug)]
pub struct InstrumentRefresh {
    database: Database,
    broker: Broker,
    clock: ClockHandle,
}

platform::from_environment!(InstrumentRefresh {
    database,
    broker,
    clock
});

impl InstrumentRefresh {
    /// Fetches all instruments and saves each, unless something newer is known of it. One that isn't listed any more keeps its
    /// last state: DriveWealth also lists what it doesn't trade.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let as_of = self.clock.now();
        let client = self.broker.client().await?;
        let listed = client.instruments(deadline.instant()).await.done(PARTY)?;
        let known: Vec<Known> = listed.instruments.into_iter().filter_map(known).collect();
        let tradable = known.iter().filter(|one| one.is_active && one.is_fractional);
        let report = Report {
            listed: known.len(),
            tradable: tradable.count(),
            skipped: listed.unreadable,
        };
        self.database
            .with(async |connection| store::save_all(connection, &known, as_of).await)
            .await?;
        if report.skipped > 0 {
            metrics::count("UnreadableInstruments", 1);
        }
        Ok(report)
    }
}

/// An instrument as we keep it; `None` for a symbol of another form (a right, a unit), which no collection can name.
pub(crate) fn known(instrument: Instrument) -> Option<Known> {
    Some(Known {
        symbol: Symbol::parse(&instrument.symbol).ok()?,
        id: instrument.id,
        name: instrument.name,
        status: instrument.status,
        is_active: instrument.is_active,
        is_fractional: instrument.is_fractional,
    })
}
