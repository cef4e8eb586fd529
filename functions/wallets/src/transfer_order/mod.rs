//! Transfers on their way: what a payer has paid and its receiver hasn't got. Orders are taken in batches; the receivers are
//! credited, or refuse, and then the payers' sides are settled as they have answered. Both may be done again for the same
//! orders, which changes nothing: a run that is cut off leaves orders, and the next one goes on with them. See README,
//! Transfers.

mod store;
#[cfg(test)]
mod tests;
mod waker;

use std::time::Duration;

use chrono::TimeDelta;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::Error;
use store::{Order, Place};

pub(crate) use waker::TransferWaker;

/// Orders that are applied at once.
const BATCH: i64 = 500;
/// A batch is begun only while more than this is left of the run's time.
const MIN_TIME_LEFT: Duration = Duration::from_secs(15);
/// After how long an order that could not be applied is tried again.
const RETRY_AFTER: TimeDelta = TimeDelta::minutes(1);
/// An order that is older than this is stuck.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(5);
/// The node of all clients, as long as there is one.
const NODE: i16 = 0;

/// What a run did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Transfers that were settled: done, or failed and the money is back.
    pub settled: u64,
    /// Of these, the failed ones.
    pub refused: u64,
    /// Orders that could not be applied; they are tried again.
    pub failed: u64,
    /// Orders that are older than five minutes, before this run.
    pub stuck: u64,
    /// Another run is at work, and applies what waits.
    pub left_to_another: bool,
    /// The run's time was over before its work was; another one was woken for the rest.
    pub unfinished: bool,
}

/// Applies the orders of transfers.
#[derive(Debug)]
pub struct TransferOrders {
    database: Database,
    clock: ClockHandle,
    waker: TransferWaker,
    relay: RelayWaker,
}

platform::from_environment!(TransferOrders {
    database,
    clock,
    waker,
    relay
});

impl TransferOrders {
    /// Applies orders until there are none that can be applied now, or the time is over; then it wakes another run.
    ///
    /// # Errors
    /// Transient when the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        // A run that is cut off, by its deadline or a panic, drops the connection and its lock with it.
        let mut connection = self.database.dedicated().await?;
        let mut report = Report::default();
        self.report_stuck(&mut connection, &mut report).await?;
        loop {
            if !store::lock(&mut connection, NODE).await? {
                report.left_to_another = true;
                break;
            }
            let applied = self.apply_all(&mut connection, deadline, &mut report).await;
            store::unlock(&mut connection, NODE).await?;
            applied?;
            // Whoever paid meanwhile may have woken a run that found this one at work.
            if report.unfinished || !store::is_anything_due(&mut connection, NODE, self.clock.now()).await? {
                break;
            }
        }
        let closing = connection.close().await;
        if let Err(error) = closing {
            tracing::debug!(%error, "closing the session failed");
        }
        if report.unfinished {
            self.waker.wake().await;
        }
        Ok(report)
    }

    /// How many orders are late, before this run.
    async fn report_stuck(&self, connection: &mut PgConnection, report: &mut Report) -> Result<(), Error> {
        let stuck = store::older_than(connection, self.clock.now() - STUCK_AFTER).await?;
        report.stuck = u64::try_from(stuck).unwrap_or_default();
        if report.stuck > 0 {
            metrics::count("TransfersStuck", report.stuck);
        }
        Ok(())
    }

    /// Goes through the orders again and again, until a pass finds none.
    async fn apply_all(
        &self,
        connection: &mut PgConnection,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<(), Error> {
        loop {
            let mut place: Place = None;
            let settled_before = report.settled;
            loop {
                if deadline.left() <= MIN_TIME_LEFT {
                    report.unfinished = true;
                    break;
                }
                let orders = store::waiting(connection, NODE, place, self.clock.now(), BATCH).await?;
                let Some(last) = orders.last() else {
                    break;
                };
                place = Some(last.payment_id);
                self.apply_or_pass(connection, &orders, report).await?;
            }
            if report.settled > settled_before {
                self.relay.wake().await;
            }
            if place.is_none() || report.unfinished {
                return Ok(());
            }
        }
    }

    /// Applies orders together; one by one where that fails. An order that can't be applied waits for a while, and holds up
    /// no other.
    async fn apply_or_pass(
        &self,
        connection: &mut PgConnection,
        orders: &[Order],
        report: &mut Report,
    ) -> Result<(), Error> {
        let Err(error) = self.apply(connection, orders, report).await else {
            return Ok(());
        };
        tracing::warn!(%error, orders = orders.len(), "transfers could not be settled together; trying them one by one");
        for order in orders {
            let Err(error) = self.apply(connection, std::slice::from_ref(order), report).await else {
                continue;
            };
            let (payer, payment_id) = (order.payer, order.payment_id);
            tracing::error!(%payer, %payment_id, %error, "a transfer could not be settled; it is tried again later");
            store::set_retry(connection, payer, payment_id, self.clock.now() + RETRY_AFTER).await?;
            report.failed += 1;
        }
        Ok(())
    }

    /// Credits, and settles as the receivers have answered: two transactions, the second of which needs the answers of the
    /// first.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        orders: &[Order],
        report: &mut Report,
    ) -> Result<(), Error> {
        let refusals = store::credit(connection, orders, self.clock.now()).await?;
        let settled = store::settle(connection, orders, &refusals, self.clock.now()).await?;
        report.settled += u64::try_from(settled).unwrap_or_default();
        report.refused += u64::try_from(refusals.iter().flatten().count()).unwrap_or_default();
        Ok(())
    }
}
