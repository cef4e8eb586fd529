//! The daily comparison: every wallet's balance is the sum of its payments that count, every entry follows from the one
//! before, every transfer has two sides that mirror each other at one rate. A difference becomes a row, an event and a
//! metric, and is never repaired. See README, Reconciliation.

pub(crate) mod store;

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::ClientId;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use serde::Serialize;
use sqlx::PgConnection;

use crate::{Error, events};
use store::Difference;

/// Most clients that are compared by one statement.
const MAX_GROUP_SIZE: i64 = 500;
/// Kept at the end of a run for counting the clients that there was no time for.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The report of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Clients whose wallets were compared.
    pub clients: u64,
    /// Differences, those that were known before included.
    pub differences: u64,
    /// Differences that weren't known.
    pub new_differences: u64,
    /// Clients that there was no time for; the next run begins with them.
    pub clients_left: u64,
}

/// Compares the books of the wallets.
#[derive(Debug)]
pub struct Reconciler {
    database: Database,
    clock: ClockHandle,
    relay: RelayWaker,
}

platform::from_environment!(Reconciler {
    database,
    clock,
    relay
});

impl Reconciler {
    /// Compares the wallets of all clients, those first that were compared longest ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let begun = self.clock.now();
        let enough = deadline.earlier_by(CLOSING_TIME);
        let mut report = Report::default();
        loop {
            if enough.left().is_zero() {
                report.clients_left = self.clients_left(begun).await?;
                break;
            }
            if !self.compare_next(begun, &mut report).await? {
                break;
            }
        }
        report.emit_metrics();
        if report.new_differences > 0 {
            self.relay.wake().await;
        }
        Ok(report)
    }

    async fn clients_left(&self, begun: DateTime<Utc>) -> Result<u64, Error> {
        let left = self
            .database
            .with(async |connection| store::clients_left(connection, begun).await);
        Ok(u64::try_from(left.await?).unwrap_or_default())
    }

    /// Compares the next group of clients; `false` when there is none.
    async fn compare_next(&self, begun: DateTime<Utc>, report: &mut Report) -> Result<bool, Error> {
        let group = self
            .database
            .transaction(async |connection| {
                let clients = store::next_clients(connection, begun, MAX_GROUP_SIZE).await?;
                if clients.is_empty() {
                    return Ok(Report::default());
                }
                let found = differences(connection, &clients).await?;
                let now = self.clock.now();
                let new = record(connection, &found, now).await?;
                store::set_reconciled(connection, &clients, now).await?;
                Ok::<_, Error>(Report {
                    clients: count(&clients),
                    differences: count(&found),
                    new_differences: count(&new),
                    clients_left: 0,
                })
            })
            .await?;
        report.clients += group.clients;
        report.differences += group.differences;
        report.new_differences += group.new_differences;
        Ok(group.clients > 0)
    }
}

async fn differences(connection: &mut PgConnection, clients: &[ClientId]) -> Result<Vec<Difference>, Error> {
    let mut found = store::broken_entries(connection, clients).await?;
    found.extend(store::wrong_balances(connection, clients).await?);
    found.extend(store::wrong_sides(connection, clients).await?);
    Ok(found)
}

/// Writes the differences, and publishes and gives those that weren't known.
async fn record(
    connection: &mut PgConnection,
    found: &[Difference],
    now: DateTime<Utc>,
) -> Result<Vec<Difference>, Error> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let new = store::insert_new(connection, found, now).await?;
    for difference in &new {
        tracing::error!(
            client_id = %difference.client_id,
            wallet_id = %difference.wallet_id,
            payment_id = difference.payment_id.map(|id| id.get()),
            kind = difference.kind,
            expected = difference.expected,
            found = difference.found,
            "found a difference in the wallets' books"
        );
    }
    events::publish_differences(connection, now, &new).await?;
    Ok(new)
}

impl Report {
    fn emit_metrics(&self) {
        if self.differences > 0 {
            metrics::count("WalletDifferences", self.differences);
        }
        if self.clients_left > 0 {
            metrics::count("NotReconciled", self.clients_left);
        }
    }
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}
