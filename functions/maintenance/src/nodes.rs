//! The databases that maintenance looks after: the deployment's own, and the further nodes of the wallets
//! (`functions/wallets/SCALING.md`), each of which has the whole schema and an outbox of its own.

use domain::lane::{Lane, Laned};
use futures::future::join_all;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::error::chain;
use platform::observability::metrics;

use crate::Error;

/// The databases by their slots, the deployment's own first.
#[derive(Debug)]
pub(crate) struct Nodes(Vec<Database>);

impl FromEnvironment for Nodes {
    /// Reads how the own database is reached, and `WALLET_NODES`.
    fn read(environment: &mut Environment) -> Option<Self> {
        Database::read_nodes(environment, "WALLET_NODES").map(Self)
    }
}

/// What came of work at every node.
#[derive(Debug)]
pub(crate) struct Done<T> {
    pub(crate) reports: Vec<T>,
    /// Further nodes that were out of reach.
    pub(crate) out_of_reach: usize,
}

impl Nodes {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Database> {
        self.0.iter()
    }

    /// Does work at every node, side by side. One that is out of reach holds up no other: it is counted, and its work is the
    /// next run's.
    ///
    /// # Errors
    /// Once all have ended: what went wrong at the own database, or wouldn't pass by itself.
    pub(crate) async fn each<T>(
        &self,
        work: impl AsyncFn(&Database) -> Result<T, Error>,
    ) -> Result<Done<T>, Error> {
        let outcomes = join_all(self.0.iter().map(|node| work(node))).await;
        let mut done = Done {
            reports: Vec::new(),
            out_of_reach: 0,
        };
        let mut failure = None;
        for (slot, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(report) => done.reports.push(report),
                Err(error) if slot > 0 && error.lane() == Lane::Transient => {
                    tracing::error!(
                        slot,
                        error = chain(&error),
                        "a node of the wallets is out of reach"
                    );
                    done.out_of_reach += 1;
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if done.out_of_reach > 0 {
            metrics::count(
                "WalletNodesOutOfReach",
                u64::try_from(done.out_of_reach).unwrap_or(u64::MAX),
            );
        }
        failure.map_or(Ok(done), Err)
    }
}
