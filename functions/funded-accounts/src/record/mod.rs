//! The record of live states in PostgreSQL: what the table's stream brings, many accounts in one statement.

pub(crate) mod store;

use std::collections::BTreeMap;

use domain::ids::FundedAccountId;
use platform::database::Database;
use platform::entry::stream::Change;

use crate::Error;
use crate::live::store::LiveSummary;

/// Records live states.
#[derive(Debug)]
pub struct Recorder {
    database: Database,
}

platform::from_environment!(Recorder { database });

impl Recorder {
    /// Records the newest state of each account that has changed. An older state than the recorded one changes nothing.
    ///
    /// # Errors
    /// Transient when the database fails: all of it comes again.
    pub async fn record(&self, changes: &[Change]) -> Result<(), Error> {
        let mut newest: BTreeMap<FundedAccountId, LiveSummary> = BTreeMap::new();
        let images = changes.iter().map(|change| &change.new);
        for live in images.filter_map(LiveSummary::of_image) {
            let known = newest.get(&live.funded_account_id);
            if known.is_none_or(|known| known.version < live.version) {
                newest.insert(live.funded_account_id, live);
            }
        }
        if newest.is_empty() {
            return Ok(());
        }
        let newest: Vec<LiveSummary> = newest.into_values().collect();
        self.database
            .with(async |connection| store::record(connection, &newest).await.map(drop))
            .await
    }
}
