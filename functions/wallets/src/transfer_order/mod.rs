//! Transfers on their way: what a payer has paid and its receiver hasn't got. Orders are taken in batches; the receivers are
//! credited, or refuse, and then the payers' sides are settled as they have answered. Both may be done again for the same
//! orders, which changes nothing: a run that is cut off leaves orders, and the next one goes on with them. See README,
//! Transfers.
//!
//! Orders wait at their payers' node, and are brought to each of the receivers' nodes by a delivery of its own. One that comes to
//! a node out of reach ends, and the others go on.

mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::{join, join_all};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::messaging::waker::Waker;
use platform::observability::metrics;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::Error;
use crate::placement::{Failures, Nodes, Slot, is_out_of_reach};
use crate::rate::copies;
use store::{Order, Place};

/// Orders that are applied at once.
const BATCH: i64 = 500;
/// A batch is begun only while more than this is left of the run's time.
const MIN_TIME_LEFT: Duration = Duration::from_secs(15);
/// After how long an order that could not be applied is tried again.
const RETRY_AFTER: TimeDelta = TimeDelta::minutes(1);
/// An order that is older than this is stuck.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(5);

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
    /// Another run is at work between some of the nodes, and applies what waits there.
    pub left_to_another: bool,
    /// The run's time was over before its work was; another one was woken for the rest.
    pub unfinished: bool,
    /// Further nodes that were out of reach: what is paid to and from their clients waits.
    pub nodes_out_of_reach: BTreeSet<i16>,
}

/// Applies the orders of transfers.
#[derive(Debug)]
pub struct TransferOrders {
    nodes: Nodes,
    clock: ClockHandle,
    waker: Option<Waker>,
    relay: Option<RelayWaker>,
}

platform::from_environment!(TransferOrders {
    nodes,
    clock,
    waker: |environment: &mut Environment| Waker::named("TRANSFER_NUDGES", "transfers")(environment)
        .map(Some),
    relay: |environment: &mut Environment| RelayWaker::read(environment).map(Some),
});

impl TransferOrders {
    /// The orders of several nodes in the order of their slots, without waking anybody: for tests and benchmarks. `None` without
    /// any.
    pub fn at_nodes(databases: Vec<Database>, clock: ClockHandle) -> Option<Self> {
        Some(Self {
            nodes: Nodes::of_databases(databases)?,
            clock,
            waker: None,
            relay: None,
        })
    }

    /// Applies orders until there are none that can be applied now, or the time is over; then it wakes another run.
    ///
    /// # Errors
    /// Transient when the database fails. A further node that is out of reach is named in the report; what could be done between
    /// the others is done.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let runs = self
            .nodes
            .all()
            .map(|(slot, payers)| self.run_at(slot, payers, deadline));
        let (runs, failed_rates) = join(join_all(runs), copies::add_missing(&self.nodes)).await;
        let mut all = Run::default();
        all.failures.extend(failed_rates);
        for run in runs {
            all.add(run);
        }
        if all.report.unfinished
            && let Some(waker) = &self.waker
        {
            waker.wake().await;
        }
        let out_of_reach = all.failures.end()?;
        Ok(Report {
            nodes_out_of_reach: out_of_reach,
            ..all.report
        })
    }

    /// Applies the orders of a node's payers.
    async fn run_at(&self, slot: Slot, payers: &Database, deadline: Deadline) -> Run {
        let mut run = Run::default();
        let begun = async {
            // A delivery that is cut off, by its deadline or a panic, drops the connection and its lock with it.
            let mut connection = payers.dedicated().await?;
            self.report_stuck(&mut connection, &mut run.report).await?;
            self.sessions(payers, connection).await
        };
        let sessions = begun.await;
        match sessions {
            Err(error) => run.failures.add(slot, error),
            Ok(sessions) => {
                let deliver = |(to, connection)| self.deliver(Way { from: slot, to }, connection, deadline);
                for delivery in join_all(sessions.into_iter().map(deliver)).await {
                    run.add(delivery);
                }
            }
        }
        run
    }

    /// A session for each node that orders wait for; for the only node there is, one in any case.
    async fn sessions(
        &self,
        payers: &Database,
        mut connection: PgConnection,
    ) -> Result<Vec<(Slot, PgConnection)>, Error> {
        if self.nodes.is_one() {
            return Ok(vec![(Slot::FIRST, connection)]);
        }
        let waiting = store::slots_waiting(&mut connection).await?;
        let known = self.nodes.all().map(|(slot, _)| slot);
        let mut sessions = Vec::new();
        for slot in known.filter(|slot| waiting.contains(&slot.number())) {
            sessions.push((slot, payers.dedicated().await?));
        }
        Ok(sessions)
    }

    /// Brings orders from their payers' node, where the session is, to the receivers'.
    async fn deliver(&self, way: Way, mut connection: PgConnection, deadline: Deadline) -> Run {
        let mut run = Run::default();
        let delivered = self.apply_in_turn(way, &mut connection, deadline, &mut run).await;
        if let Err(error) = delivered {
            run.failures.add(way.from, error);
        }
        let closing = connection.close().await;
        if let Err(error) = closing {
            tracing::debug!(%error, "closing the session failed");
        }
        run
    }

    async fn apply_in_turn(
        &self,
        way: Way,
        connection: &mut PgConnection,
        deadline: Deadline,
        run: &mut Run,
    ) -> Result<(), Error> {
        loop {
            if !store::lock(connection, way.to).await? {
                run.report.left_to_another = true;
                return Ok(());
            }
            let applied = self.apply_all(way, connection, deadline, &mut run.report).await;
            store::unlock(connection, way.to).await?;
            match applied {
                Ok(()) => {}
                Err(Stop::AtReceivers(error)) => {
                    run.failures.add(way.to, error);
                    return Ok(());
                }
                Err(Stop::AtPayers(error)) => return Err(error),
            }
            // Whoever paid meanwhile may have woken a run that found this one at work.
            if run.report.unfinished || !store::is_anything_due(connection, way.to, self.clock.now()).await? {
                return Ok(());
            }
        }
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
        way: Way,
        connection: &mut PgConnection,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<(), Stop> {
        loop {
            let mut place: Place = None;
            let settled_before = report.settled;
            loop {
                if deadline.left() <= MIN_TIME_LEFT {
                    report.unfinished = true;
                    break;
                }
                let orders = store::waiting(connection, way.to, place, self.clock.now(), BATCH).await?;
                let Some(last) = orders.last() else {
                    break;
                };
                place = Some(last.payment_id);
                self.apply_or_pass(way, connection, &orders, report).await?;
            }
            if report.settled > settled_before
                && let Some(relay) = &self.relay
            {
                relay.wake().await;
            }
            if place.is_none() || report.unfinished {
                return Ok(());
            }
        }
    }

    /// Applies orders together; one by one where that fails. An order that can't be applied waits for a while, and holds up
    /// no other; but where a node is out of reach, none of them can be.
    async fn apply_or_pass(
        &self,
        way: Way,
        connection: &mut PgConnection,
        orders: &[Order],
        report: &mut Report,
    ) -> Result<(), Stop> {
        let Err(error) = self.apply(way, connection, orders, report).await else {
            return Ok(());
        };
        let error = error.if_it_may_be_of_one()?;
        tracing::warn!(%error, orders = orders.len(), "transfers could not be settled together; trying them one by one");
        for order in orders {
            let Err(error) = self
                .apply(way, connection, std::slice::from_ref(order), report)
                .await
            else {
                continue;
            };
            let error = error.if_it_may_be_of_one()?;
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
        way: Way,
        connection: &mut PgConnection,
        orders: &[Order],
        report: &mut Report,
    ) -> Result<(), Stop> {
        let now = self.clock.now();
        let refusals = if way.from == way.to {
            store::credit(connection, orders, now).await?
        } else {
            self.nodes
                .of_slot(way.to)
                .with(async |receivers| store::credit(receivers, orders, now).await)
                .await
                .map_err(Stop::AtReceivers)?
        };
        let settled = store::settle(connection, orders, &refusals, self.clock.now()).await?;
        report.settled += u64::try_from(settled).unwrap_or_default();
        report.refused += u64::try_from(refusals.iter().flatten().count()).unwrap_or_default();
        Ok(())
    }
}

/// What came of a part of a run, done as far as it could be.
#[derive(Debug, Default)]
struct Run {
    report: Report,
    failures: Failures,
}

impl Run {
    fn add(&mut self, part: Self) {
        self.report.add(&part.report);
        self.failures.extend(part.failures);
    }
}

/// What ends a delivery, and where it was met.
#[derive(Debug)]
enum Stop {
    AtPayers(Error),
    AtReceivers(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::AtPayers(error)
    }
}

impl Stop {
    /// The error, where it may be one order's.
    ///
    /// # Errors
    /// This one, where a node is out of reach.
    fn if_it_may_be_of_one(self) -> Result<Error, Self> {
        match self {
            Self::AtPayers(error) | Self::AtReceivers(error) if !is_out_of_reach(&error) => Ok(error),
            stop => Err(stop),
        }
    }
}

/// From the node of payers to the node of receivers.
#[derive(Debug, Clone, Copy)]
struct Way {
    from: Slot,
    to: Slot,
}

impl Report {
    fn add(&mut self, part: &Self) {
        self.settled += part.settled;
        self.refused += part.refused;
        self.failed += part.failed;
        self.stuck += part.stuck;
        self.left_to_another |= part.left_to_another;
        self.unfinished |= part.unfinished;
    }
}
