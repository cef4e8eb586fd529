//! Pruning: deletes records that have done their work, some at a time.
//!
//! Published events of the outbox are kept for 30 days, for people who look into what was told. Events of the inbox
//! are kept for 90: they are what a repeated event is recognised by, and a queue and its dead letters hold one for 14
//! days at the most. `idempotency_keys` is never pruned: a key guards what was made under it, as long as that is kept.

use platform::config::Environment;
use platform::database::Database;
use serde::Serialize;

use crate::Error;
use crate::store::old_records;

/// Rows of one table that a run deletes, well within a statement's time. An hourly run keeps up with 200 000 a day.
const LIMIT: i64 = 10_000;

/// What a run deleted.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Published messages of the outbox.
    pub outbox_messages: u64,
    /// Events of the inbox.
    pub inbox_events: u64,
}

/// The database that is pruned.
#[derive(Debug)]
pub struct Pruning {
    database: Database,
}

impl Pruning {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// Deletes what is old enough.
    ///
    /// # Errors
    /// Transient when the database fails.
    pub async fn run(&self) -> Result<Report, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        Ok(Report {
            outbox_messages: old_records::delete_published(&mut connection, LIMIT).await?,
            inbox_events: old_records::delete_taken(&mut connection, LIMIT).await?,
        })
    }
}
