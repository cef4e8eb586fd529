//! Rates are set at the first node. Each of the others has copies of those that count, by which its clients' transfers
//! convert. They are made after each change; what a node has missed, being out of reach, the settlement of transfers brings it
//! within a minute.

use futures::future::join_all;
use platform::database::Database;

use super::store::{self, Copied};
use crate::Error;
use crate::placement::{Failures, Nodes, Slot};

/// Copies to all nodes what changed just now. A node that is out of reach gets it later.
pub(super) async fn after_change(nodes: &Nodes) {
    let failures = add_missing(nodes).await;
    if let Some(error) = failures.other {
        tracing::warn!(%error, "a node hasn't got the newest exchange rates yet");
    }
}

/// Copies to each node the counting rates that it hasn't got.
pub(crate) async fn add_missing(nodes: &Nodes) -> Failures {
    let mut failures = Failures::default();
    if nodes.is_one() {
        return failures;
    }
    match newest_at(nodes.first()).await {
        Err(error) => failures.add(Slot::FIRST, error),
        Ok(newest) => {
            let newest = &newest;
            let further = nodes.all().skip(1);
            let copying = further.map(|(slot, node)| async move { (slot, add_to(node, newest).await) });
            for (slot, copied) in join_all(copying).await {
                if let Err(error) = copied {
                    failures.add(slot, error);
                }
            }
        }
    }
    failures
}

async fn add_to(node: &Database, newest: &[Copied]) -> Result<(), Error> {
    let there = newest_at(node).await?;
    let missing = newest.iter().filter(|rate| !there.contains(rate));
    let missing: Vec<&Copied> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    node.with(async |connection| store::copy(connection, &missing).await)
        .await
}

async fn newest_at(node: &Database) -> Result<Vec<Copied>, Error> {
    node.with(async |connection| store::newest_of_all(connection).await)
        .await
}
