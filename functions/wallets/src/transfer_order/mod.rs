//! Transfers on their way: what a payer has paid and its receiver hasn't got. Orders are taken in batches; the receivers are
//! credited, or refuse, and then the payers' sides are settled as they have answered. Both may be done again for the same
//! orders, which changes nothing: a run that is cut off leaves orders, and the next one goes on with them. See README,
//! Transfers.
//!
//! Orders wait at their payers' node, and are brought to each of the receivers' nodes by a delivery of its own. One that comes to
//! a node out of reach ends, and the others go on.

mod delivery;
mod report;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::future::{join, join_all};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::messaging::waker::Waker;

use crate::Error;
use crate::placement::Nodes;
use crate::rate::copies;
use delivery::Payers;
use report::Run;

pub use report::Report;

/// How long orders gather between two rounds of a run: in a batch of a few, each costs the databases twice what it does in a batch
/// of many. The first round waits for nothing.
const GATHERING: Duration = Duration::from_millis(50);

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
        let (mut run, failed_rates) = join(self.apply(deadline), copies::add_missing(&self.nodes)).await;
        run.failures.extend(failed_rates);
        if run.report.unfinished
            && let Some(waker) = &self.waker
        {
            waker.wake().await;
        }
        let out_of_reach = run.failures.end()?;
        Ok(Report {
            nodes_out_of_reach: out_of_reach,
            ..run.report
        })
    }

    /// Goes round the nodes again and again, until a round finds nothing.
    async fn apply(&self, deadline: Deadline) -> Run {
        let nodes = self.nodes.all();
        let mut nodes: Vec<_> = nodes
            .map(|(slot, _)| Payers::new(&self.nodes, slot, &self.clock, self.relay.as_ref(), deadline))
            .collect();
        let mut run = Run::of_parts(join_all(nodes.iter_mut().map(Payers::report_stuck)).await);
        loop {
            let mut round = Run::of_parts(join_all(nodes.iter_mut().map(Payers::round)).await);
            if round.report.unfinished || !round.has_found {
                // Whoever paid meanwhile may have woken a run that found this one at work.
                let end = Run::of_parts(join_all(nodes.iter_mut().map(Payers::end)).await);
                round.add(end);
            } else if !round.has_more {
                tokio::time::sleep(GATHERING).await;
            }
            let goes_on = round.has_found && !round.report.unfinished;
            run.add(round);
            if !goes_on {
                return run;
            }
        }
    }
}
