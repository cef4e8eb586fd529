//! What a run delivers for the payers of one node: to each of the receivers' nodes by a session of its own, which has its turn
//! there until the run ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use sqlx::{Connection, PgConnection};

use super::report::{Report, Run};
use super::store::{self, Order};
use crate::Error;
use crate::placement::{Nodes, Slot, is_out_of_reach};

/// Orders that are applied at once.
const BATCH: usize = 500;
/// A batch is begun only while more than this is left of the run's time.
const MIN_TIME_LEFT: Duration = Duration::from_secs(15);
/// After how long an order that could not be applied is tried again.
const RETRY_AFTER: TimeDelta = TimeDelta::minutes(1);
/// An order that is older than this is stuck.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(5);
/// Of one node's payers and another one's receivers no more are counted as stuck; a run is no longer for a backlog.
const MAX_STUCK: i64 = 1_000;

/// The payers of a node, and the deliveries of their orders.
#[derive(Debug)]
pub(super) struct Payers<'a> {
    nodes: &'a Nodes,
    slot: Slot,
    database: &'a Database,
    clock: &'a ClockHandle,
    relay: Option<&'a RelayWaker>,
    deadline: Deadline,
    /// A session for each node that is delivered to. One that is cut off, by the deadline or a panic, drops its turn with it.
    sessions: BTreeMap<Slot, PgConnection>,
    /// Nodes that this run delivers nothing to any more: another one does, or a database failed.
    left: BTreeSet<Slot>,
    /// This node failed.
    is_lost: bool,
}

impl<'a> Payers<'a> {
    /// Those of the node of a slot.
    pub(super) fn new(
        nodes: &'a Nodes,
        slot: Slot,
        clock: &'a ClockHandle,
        relay: Option<&'a RelayWaker>,
        deadline: Deadline,
    ) -> Self {
        Self {
            nodes,
            slot,
            database: nodes.of_slot(slot),
            clock,
            relay,
            deadline,
            sessions: BTreeMap::new(),
            left: BTreeSet::new(),
            is_lost: false,
        }
    }

    /// How many orders are late, before this run.
    pub(super) async fn report_stuck(&mut self) -> Run {
        let mut run = Run::default();
        let time = self.clock.now() - STUCK_AFTER;
        let stuck = self
            .database
            .with(async |connection| store::older_than(connection, time, MAX_STUCK).await)
            .await;
        match stuck {
            Ok(stuck) => run.report.stuck = u64::try_from(stuck).unwrap_or_default(),
            Err(error) => self.lose(error, &mut run),
        }
        if run.report.stuck > 0 {
            metrics::count("TransfersStuck", run.report.stuck);
        }
        run
    }

    /// Applies the orders there are, whoever they are for.
    pub(super) async fn round(&mut self) -> Run {
        let mut run = Run::default();
        if self.is_lost {
            return run;
        }
        if let Err(error) = self.take_turns(&mut run.report).await {
            self.lose(error, &mut run);
            return run;
        }
        let sessions = std::mem::take(&mut self.sessions);
        let this = &*self;
        let deliver = |(to, connection)| this.deliver(to, connection);
        for delivery in join_all(sessions.into_iter().map(deliver)).await {
            run.add(delivery.run);
            if let Some(session) = delivery.session {
                self.sessions.insert(delivery.to, session);
            } else {
                self.left.insert(delivery.to);
            }
        }
        run
    }

    /// Gives the turns back; says whether anything is due that came meanwhile.
    pub(super) async fn end(&mut self) -> Run {
        let mut run = Run::default();
        let now = self.clock.now();
        for (to, mut session) in std::mem::take(&mut self.sessions) {
            let is_due = async {
                store::unlock(&mut session, to).await?;
                store::is_anything_due(&mut session, to, now).await
            };
            match is_due.await {
                Ok(is_due) => run.has_found |= is_due,
                Err(error) => self.lose(error, &mut run),
            }
            close(session).await;
        }
        run
    }

    fn lose(&mut self, error: Error, run: &mut Run) {
        self.is_lost = true;
        run.failures.add(self.slot, error);
    }

    /// A session for each node that orders wait for and nobody else delivers to; for the only node there is, one in any case.
    async fn take_turns(&mut self, report: &mut Report) -> Result<(), Error> {
        let waiting = match self.nodes.is_one() {
            true => vec![Slot::FIRST],
            false => self.slots_waiting().await?,
        };
        for slot in waiting {
            if self.left.contains(&slot) || self.sessions.contains_key(&slot) {
                continue;
            }
            let mut session = self.database.dedicated().await?;
            if store::lock(&mut session, slot).await? {
                self.sessions.insert(slot, session);
            } else {
                close(session).await;
                self.left.insert(slot);
                report.left_to_another = true;
            }
        }
        Ok(())
    }

    async fn slots_waiting(&self) -> Result<Vec<Slot>, Error> {
        let waiting = self
            .database
            .with(async |connection| store::slots_waiting(connection).await)
            .await?;
        let known = self.nodes.all().map(|(slot, _)| slot);
        Ok(known.filter(|slot| waiting.contains(&slot.number())).collect())
    }

    /// Brings orders to the receivers' node, by a session at the payers'.
    async fn deliver(&self, to: Slot, mut session: PgConnection) -> Delivery {
        let mut run = Run::default();
        let way = Way { from: self.slot, to };
        let delivered = self.pass(way, &mut session, &mut run.report).await;
        let failure = match delivered {
            Ok(found) => {
                run.has_found = found > 0;
                run.has_more = found == BATCH;
                None
            }
            Err(Stop::AtPayers(error)) => Some((way.from, error)),
            Err(Stop::AtReceivers(error)) => Some((way.to, error)),
        };
        let session = match failure {
            None => Some(session),
            Some((slot, error)) => {
                run.failures.add(slot, error);
                close(session).await;
                None
            }
        };
        Delivery { to, session, run }
    }

    /// Applies the oldest orders for a node, no more than a batch of them, so that a backlog holds up no other; gives how many
    /// there were.
    async fn pass(
        &self,
        way: Way,
        connection: &mut PgConnection,
        report: &mut Report,
    ) -> Result<usize, Stop> {
        if self.deadline.left() <= MIN_TIME_LEFT {
            report.unfinished = true;
            return Ok(0);
        }
        let orders = store::waiting(connection, way.to, None, self.clock.now(), BATCH).await?;
        if orders.is_empty() {
            return Ok(0);
        }
        self.apply_or_pass(way, connection, &orders, report).await?;
        if report.settled > 0
            && let Some(relay) = self.relay
        {
            relay.wake().await;
        }
        Ok(orders.len())
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

/// A session that nothing is asked of any more.
async fn close(session: PgConnection) {
    let closing = session.close().await;
    if let Err(error) = closing {
        tracing::debug!(%error, "closing the session failed");
    }
}

/// What came of a round's delivery to a node.
struct Delivery {
    to: Slot,
    /// None where it can't go on.
    session: Option<PgConnection>,
    run: Run,
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
