//! The daily comparison: every wallet's balance is the sum of its payments that count, every entry follows from the one
//! before, every transfer has two sides that mirror each other at one rate. What differs is told as a row, an event and a
//! metric, and never repaired.

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use serde::Serialize;

use crate::Error;
use crate::events::{self, DifferencePayload};
use crate::store::id;
use crate::store::reconciliation::{self, Difference};

/// Clients that are compared by one statement.
const GROUP: i64 = 500;
/// Kept for telling what there was no time for.
const CLOSING_TIME: std::time::Duration = std::time::Duration::from_secs(5);

/// What a run found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Clients whose wallets were compared.
    pub clients: u64,
    /// Differences, those that were known before included.
    pub differences: u64,
    /// Differences that nobody knew of.
    pub new_differences: u64,
    /// Clients that there was no time for; the next run begins with them.
    pub clients_left: u64,
}

/// Compares the books of the wallets.
#[derive(Debug)]
pub struct Reconciler {
    database: Database,
    nudge: RelayWaker,
}

impl Reconciler {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            nudge: nudge?,
        })
    }

    /// Compares the wallets of all clients, those first that were compared longest ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let begun = SystemClock.now();
        let enough = deadline.earlier_by(CLOSING_TIME);
        let mut report = Report::default();
        loop {
            if enough.left().is_zero() {
                let mut connection = self.database.pool().await?.acquire().await?;
                let left = reconciliation::clients_left(&mut connection, begun).await?;
                report.clients_left = u64::try_from(left).unwrap_or_default();
                break;
            }
            if !self.compare_next(begun, &mut report).await? {
                break;
            }
        }
        if report.differences > 0 {
            metrics::count("WalletDifferences", report.differences);
        }
        if report.clients_left > 0 {
            metrics::count("NotReconciled", report.clients_left);
        }
        if report.new_differences > 0 {
            self.nudge.send().await;
        }
        Ok(report)
    }

    /// Compares the next group of clients; `false` when there is none.
    async fn compare_next(&self, begun: DateTime<Utc>, report: &mut Report) -> Result<bool, Error> {
        let mut transaction = self.database.begin().await?;
        let clients = reconciliation::next_clients(&mut transaction, begun, GROUP).await?;
        if clients.is_empty() {
            return Ok(false);
        }
        let ids: Vec<i64> = clients.iter().map(|client| client.get()).collect();
        let mut found = reconciliation::broken_entries(&mut transaction, &ids).await?;
        found.extend(reconciliation::wrong_balances(&mut transaction, &ids).await?);
        found.extend(reconciliation::wrong_sides(&mut transaction, &ids).await?);
        if !found.is_empty() {
            let new = reconciliation::keep(&mut transaction, &found).await?;
            report.new_differences += count(&new);
            for difference in &new {
                tracing::error!(?difference, "the books differ");
            }
            let told = new.into_iter().map(told).collect::<Result<_, _>>()?;
            events::differences(&mut transaction, SystemClock.now(), told).await?;
        }
        reconciliation::set_reconciled(&mut transaction, &ids, SystemClock.now()).await?;
        transaction.commit().await?;
        report.clients += count(&clients);
        report.differences += count(&found);
        Ok(true)
    }
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn told(difference: Difference) -> Result<DifferencePayload, Error> {
    Ok(DifferencePayload {
        client_id: id(difference.client_id)?,
        wallet_id: id(difference.wallet_id)?,
        payment_id: difference.payment_id.map(id).transpose()?,
        kind: difference.kind,
        expected: difference.expected,
        found: difference.found,
    })
}
