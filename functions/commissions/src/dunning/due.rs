//! `pay_invoices`: picks the invoices that are due and puts a message for each on the queue of `pay_invoice`.

use chrono::{DateTime, Utc};
use domain::ids::InvoiceId;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::entry::schedule::ScheduledRun;
use platform::messaging::event::Envelope;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::correlation;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::store;
use crate::{Error, events};

/// An invoice for which something may have to be done.
pub type PaymentDue = Envelope<DueInvoice>;

/// The message's data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DueInvoice {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// When the run that picked it executed.
    pub as_of: DateTime<Utc>,
}

/// The report of a run of `pay_invoices`.
#[derive(Debug, Serialize)]
pub struct PickedReport {
    /// Invoices put on the queue.
    pub invoices: u64,
}

/// Picks the invoices that are due.
#[derive(Debug)]
pub struct DueInvoices {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(DueInvoices {
    database,
    relay,
    clock
});

impl DueInvoices {
    /// The same by another clock.
    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: ClockHandle) -> Self {
        Self { clock, ..self }
    }

    /// Puts every invoice that is due on the day on which a run executes on the queue, in one statement.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pick(&self, run: ScheduledRun) -> Result<PickedReport, Error> {
        let now = self.clock.now();
        let as_of = run.executed_at(&self.clock);
        let id = correlation::current();
        let invoices = self
            .database
            .with(async |connection| store::publish_due(connection, as_of, now, &id).await)
            .await?;
        if invoices > 0 {
            self.relay.wake().await;
        }
        Ok(PickedReport { invoices })
    }
}

/// Puts one invoice on the queue, in the transaction of what made that necessary.
pub(crate) async fn publish_due(
    connection: &mut PgConnection,
    invoice_id: InvoiceId,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    let due = DueInvoice { invoice_id, as_of };
    events::publish_due(connection, invoice_id, as_of, due).await
}
