//! The daily comparison: every wallet's balance is the sum of its entries, every entry follows from the one before, every
//! transfer has two sides that mirror each other at one rate. A difference becomes a row, an event and a metric, and is never
//! repaired. It goes on from checkpoints, in groups of so many entries. Each node is compared by itself, and the sides of its
//! transfers that are on others there. See README, Reconciliation.

mod other_nodes;
pub(crate) mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use serde::Serialize;
use sqlx::PgConnection;

use crate::placement::{Failures, Nodes, Slot};
use crate::{Error, events};
use other_nodes::OtherSides;
use store::{Bounds, Difference, FirstPending, Place, Residue, Span};

/// Most wallets of a group.
const MAX_GROUP_WALLETS: i64 = 500;
/// Most entries of a group.
const MAX_GROUP_ENTRIES: i64 = 10_000;
/// After how long a wallet is compared from its first entry on again.
const ANEW_AFTER: TimeDelta = TimeDelta::days(30);
/// Kept at the end of a run for counting the clients that there was no time for.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The report of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Clients whose wallets were compared.
    pub clients: u64,
    /// Entries that were compared.
    pub entries: u64,
    /// Differences, those that were known before included.
    pub differences: u64,
    /// Differences that weren't known.
    pub new_differences: u64,
    /// Wallets with a transfer on its way, whose other side is compared when it is settled.
    pub pending: u64,
    /// Wallets with transfers whose other side is on a node out of reach; these are compared by the next run.
    pub out_of_reach: u64,
    /// Further nodes that were out of reach: their clients come the next day.
    pub nodes_out_of_reach: BTreeSet<i16>,
    /// Wallets that could not be compared; the run went on behind them.
    pub failed: Vec<String>,
    /// Clients that there was no time for; the next run begins with them.
    pub clients_left: u64,
    /// What conversions have left to the house in all, by the receivers' currency, in its minor units; of those alone in which
    /// this run has found more. Each further node has its own sum (`EUR at node 1`).
    pub residues: BTreeMap<String, String>,
    /// What this run has found of it, in whole minor units.
    #[serde(skip)]
    residue_units: BTreeMap<String, u64>,
}

/// Compares the books of the wallets.
#[derive(Debug)]
pub struct Reconciler {
    nodes: Nodes,
    clock: ClockHandle,
    relay: RelayWaker,
}

platform::from_environment!(Reconciler { nodes, clock, relay });

/// A walk through all wallets, from the one that the last run stopped at to the end, and from the first one on to there.
#[derive(Debug, Clone, Copy)]
struct Walk {
    begun: DateTime<Utc>,
    start: Place,
    place: Place,
    has_wrapped: bool,
}

/// One node with its clients.
#[derive(Debug)]
struct OfNode<'a> {
    slot: Slot,
    database: &'a Database,
    nodes: &'a Nodes,
    clock: &'a ClockHandle,
}

impl Reconciler {
    /// Compares the wallets of all clients, those first that the last run hadn't time for.
    ///
    /// # Errors
    /// When the database fails. A further node that is out of reach is named in the report; the others are compared.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let of_nodes: Vec<OfNode<'_>> = self
            .nodes
            .all()
            .map(|(slot, database)| OfNode {
                slot,
                database,
                nodes: &self.nodes,
                clock: &self.clock,
            })
            .collect();
        let runs = join_all(of_nodes.iter().map(|node| node.run(deadline))).await;
        let mut report = Report::default();
        let mut failures = Failures::default();
        for (node, run) in of_nodes.iter().zip(runs) {
            match run {
                Ok(run) => report.add_node(node.slot, run),
                Err(error) => failures.add(node.slot, error),
            }
        }
        report.emit_metrics();
        if report.new_differences > 0 {
            self.relay.wake().await;
        }
        report.nodes_out_of_reach = failures.end()?;
        Ok(report)
    }
}

impl OfNode<'_> {
    async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let enough = deadline.earlier_by(CLOSING_TIME);
        let start = self
            .database
            .with(async |connection| store::cursor(connection).await);
        let start = start.await?;
        let mut walk = Walk {
            begun: self.clock.now(),
            start,
            place: start,
            has_wrapped: start.is_none(),
        };
        let mut report = Report::default();
        loop {
            if enough.left().is_zero() {
                report.clients_left = self.clients_left(walk).await?;
                break;
            }
            let spans = self.next_spans(&walk).await?;
            if !spans.is_empty() {
                self.compare_or_pass(&mut walk, &spans, &mut report).await?;
            } else if walk.has_wrapped {
                break;
            } else {
                walk.place = None;
                walk.has_wrapped = true;
            }
        }
        if report.clients_left == 0 {
            let end = self
                .database
                .with(async |connection| store::set_cursor(connection, None).await);
            end.await?;
        }
        Ok(report)
    }

    /// What comes next of the walk; nothing at its end.
    async fn next_spans(&self, walk: &Walk) -> Result<Vec<Span>, Error> {
        let bounds = Bounds {
            begun: walk.begun,
            anew_before: walk.begun - ANEW_AFTER,
            wallets: MAX_GROUP_WALLETS,
            entries: MAX_GROUP_ENTRIES,
        };
        let spans = self
            .database
            .with(async |connection| store::next_spans(connection, walk.place, bounds).await);
        let mut spans = spans.await?;
        if walk.has_wrapped && walk.start.is_some() {
            spans.retain(|span| Some((span.client_id, span.wallet_id)) <= walk.start);
        }
        Ok(spans)
    }

    async fn clients_left(&self, walk: Walk) -> Result<u64, Error> {
        let left = self.database.with(async |connection| {
            store::clients_left(connection, walk.place, walk.start, walk.begun).await
        });
        Ok(u64::try_from(left.await?).unwrap_or_default())
    }

    /// Compares a group of wallets; one by one where that fails. A wallet that can't be compared is named, and the walk goes on
    /// behind it.
    async fn compare_or_pass(
        &self,
        walk: &mut Walk,
        spans: &[Span],
        report: &mut Report,
    ) -> Result<(), Error> {
        let Err(error) = self.compare_group(walk, spans, report).await else {
            return Ok(());
        };
        tracing::warn!(%error, "a group of wallets could not be compared; trying them one by one");
        for span in spans {
            let (client_id, wallet_id) = (span.client_id, span.wallet_id);
            let Err(error) = self.compare_group(walk, std::slice::from_ref(span), report).await else {
                if walk.place == Some((client_id, wallet_id)) {
                    continue;
                }
                // There is more of it, which the next group begins with.
                return Ok(());
            };
            tracing::error!(%client_id, %wallet_id, %error, "a wallet could not be compared; the run goes on behind it");
            report
                .failed
                .push(format!("wallet {wallet_id} of client {client_id}"));
            walk.place = Some((client_id, wallet_id));
            let place = walk.place;
            let kept = self
                .database
                .with(async |connection| store::set_cursor(connection, place).await);
            kept.await?;
        }
        Ok(())
    }

    async fn compare_group(&self, walk: &mut Walk, spans: &[Span], report: &mut Report) -> Result<(), Error> {
        let (behind, group) = self.compare(walk.place, spans).await?;
        report.add(group);
        walk.place = behind;
        Ok(())
    }

    /// Compares a group of wallets that come behind a place; gives the one behind which the next group comes.
    async fn compare(&self, place: Place, spans: &[Span]) -> Result<(Place, Report), Error> {
        let Seen {
            sums,
            mut pending,
            mut found,
            one_sided,
        } = self
            .database
            .with(async |connection| look(connection, spans, self.own_slot()).await)
            .await?;
        let on_way = count(&pending);
        if !one_sided.is_empty() {
            // The other side may just have been written; what isn't there at a second look is told.
            let again = self
                .database
                .with(async |connection| store::wrong_sides(connection, spans, self.own_slot()).await);
            let again = again.await?;
            found.extend(one_sided.into_iter().filter(|one| again.contains(one)));
        }
        let elsewhere = self.other_sides(spans).await?;
        found.extend(elsewhere.found);
        let out_of_reach = count(&elsewhere.not_seen);
        pending.extend(elsewhere.not_seen);
        let behind = behind(place, spans, &pending);
        let now = self.clock.now();
        let recorded = self
            .database
            .transaction(async |connection| {
                let new = record(connection, &found, now).await?;
                let residues = store::count_residues(connection, spans, now).await?;
                store::set_checkpoints(connection, spans, &sums, &pending, now).await?;
                store::set_cursor(connection, behind).await?;
                Ok::<_, Error>(Report {
                    pending: on_way,
                    out_of_reach,
                    ..Report::of(spans, &found, &new, &residues)
                })
            })
            .await;
        Ok((behind, recorded?))
    }

    /// The slot whose clients are here, where there are others elsewhere.
    fn own_slot(&self) -> Option<i16> {
        (!self.nodes.is_one()).then(|| self.slot.number())
    }

    async fn other_sides(&self, spans: &[Span]) -> Result<OtherSides, Error> {
        match self.own_slot() {
            None => Ok(OtherSides::default()),
            Some(own) => other_nodes::look(self.nodes, self.database, own, spans).await,
        }
    }
}

/// The last wallet of a group that is compared as far as it can be, before one of which there is more: that comes first in the next
/// group. Behind a transfer on its way the other sides are compared again when it is settled.
fn behind(place: Place, spans: &[Span], pending: &[FirstPending]) -> Place {
    let goes_on = |span: &Span| {
        let has_sides_left = span.sides_to < span.to;
        span.is_cut || has_sides_left && store::sides_entry(span, spans, pending) == span.sides_to
    };
    let done = spans.iter().take_while(|span| !goes_on(span));
    done.last().map(|span| (span.client_id, span.wallet_id)).or(place)
}

/// What was seen of spans.
struct Seen {
    sums: Vec<store::Sum>,
    /// The first transfer on its way of each wallet that has one.
    pending: Vec<FirstPending>,
    found: Vec<Difference>,
    /// Transfers that seem to have one side.
    one_sided: Vec<Difference>,
}

async fn look(connection: &mut PgConnection, spans: &[Span], own_slot: Option<i16>) -> Result<Seen, Error> {
    let pending = store::first_pending(connection, spans).await?;
    let sums = store::sums(connection, spans).await?;
    let mut found = store::broken_entries(connection, spans).await?;
    found.extend(sums.iter().filter_map(wrong_balance));
    let sides = store::wrong_sides(connection, spans, own_slot).await?;
    let (one_sided, other) = sides.into_iter().partition(|one| one.kind == "one-sided");
    found.extend::<Vec<_>>(other);
    Ok(Seen {
        sums,
        pending,
        found,
        one_sided,
    })
}

fn wrong_balance(sum: &store::Sum) -> Option<Difference> {
    Some(Difference {
        client_id: sum.client_id,
        wallet_id: sum.wallet_id,
        payment_id: sum.newest,
        kind: "balance".to_owned(),
        expected: sum.total.clone(),
        found: sum.wrong_balance?.to_string(),
    })
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
    /// The report of a group.
    fn of(spans: &[Span], found: &[Difference], new: &[Difference], residues: &[Residue]) -> Self {
        let mut clients: Vec<_> = spans.iter().map(|span| span.client_id).collect();
        clients.dedup();
        let code = |residue: &Residue| residue.currency.0.code().to_owned();
        let units = |residue: &Residue| u64::try_from(residue.whole_units).unwrap_or_default();
        let entries = spans
            .iter()
            .map(|span| span.to.saturating_sub(span.after))
            .sum::<i64>();
        Self {
            clients: count(&clients),
            entries: u64::try_from(entries).unwrap_or_default(),
            differences: count(found),
            new_differences: count(new),
            residues: residues
                .iter()
                .map(|residue| (code(residue), residue.total.clone()))
                .collect(),
            residue_units: residues
                .iter()
                .map(|residue| (code(residue), units(residue)))
                .collect(),
            ..Self::default()
        }
    }

    fn add(&mut self, group: Self) {
        self.clients += group.clients;
        self.entries += group.entries;
        self.differences += group.differences;
        self.new_differences += group.new_differences;
        self.pending += group.pending;
        self.out_of_reach += group.out_of_reach;
        self.residues.extend(group.residues);
        for (currency, units) in group.residue_units {
            *self.residue_units.entry(currency).or_default() += units;
        }
    }

    /// Adds what a node's run has found.
    fn add_node(&mut self, slot: Slot, run: Self) {
        let of_node = |currency: String| {
            if slot == Slot::FIRST {
                currency
            } else {
                format!("{currency} at node {}", slot.number())
            }
        };
        let residues = run.residues.into_iter();
        let units = run.residue_units.into_iter();
        self.failed.extend(run.failed);
        self.clients_left += run.clients_left;
        self.add(Self {
            failed: Vec::new(),
            clients_left: 0,
            residues: residues
                .map(|(currency, total)| (of_node(currency), total))
                .collect(),
            residue_units: units
                .map(|(currency, units)| (of_node(currency), units))
                .collect(),
            ..run
        });
    }

    fn emit_metrics(&self) {
        if self.differences > 0 {
            metrics::count("WalletDifferences", self.differences);
        }
        let not_compared = self.clients_left + self.out_of_reach + count(&self.failed);
        if not_compared > 0 {
            metrics::count("NotReconciled", not_compared);
        }
        for (currency, total) in &self.residues {
            let units = self.residue_units.get(currency).copied().unwrap_or_default();
            let properties = [("Currency", currency.as_str()), ("Total", total.as_str())];
            metrics::count_with("ConversionResidue", units, &properties);
        }
    }
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
