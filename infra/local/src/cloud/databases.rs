//! The PostgreSQL servers that run here: that of everything, and the further nodes that the wallets' clients are spread over.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail, ensure};
use futures::future::{join_all, try_join_all};
use tokio::sync::Mutex;

use crate::util::database_url::without_password;
use crate::{
    backends::{Durability, Postgres},
    options::{MAX_WALLET_NODES, Options},
    progress::Progress,
};

/// Where a further node has its data, below the state: this, and its number.
pub(super) const NODE_FOLDER: &str = "wallet-node-";

/// The servers, by the slots of the wallets; none where the database is a real one.
#[derive(Default)]
pub(super) struct Databases(Vec<Node>);

/// A server that may be ended and started again.
struct Node {
    state: PathBuf,
    durability: Durability,
    port: u16,
    url: String,
    server: Mutex<Option<Postgres>>,
}

impl Databases {
    /// Starts them on these ports or free ones, with users for the functions.
    pub(super) async fn start(
        options: &Options,
        users: &BTreeSet<String>,
        own: Option<u16>,
        further: Vec<Option<u16>>,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        refuse_other_numbers(options)?;
        let durability = match options.wallet_nodes {
            _ if options.durable_database => Durability::Durable,
            0 | 1 => Durability::Quick,
            // What is between two nodes has to outlive each of them.
            _ => Durability::OutlivesServer,
        };
        // It opens the way to the others' folders for PostgreSQL's user, or none.
        let mut nodes = vec![Node::start(options.state.clone(), own, durability, users).await?];
        let others = (1..).zip(further).map(|(node, port): (u16, _)| {
            let state = options.state.join(format!("{NODE_FOLDER}{node}"));
            Node::start(state, port, durability, users)
        });
        nodes.extend(try_join_all(others).await?);
        for (node, of_node) in nodes.iter().enumerate() {
            let place = without_password(&of_node.url);
            match node {
                0 => progress.ready(
                    begun,
                    "PostgreSQL",
                    format_args!("{place}, with its password in the state"),
                ),
                node => progress.ready(
                    begun,
                    "PostgreSQL",
                    format_args!("{place}, node {node} of the wallets"),
                ),
            }
        }
        Ok(Self(nodes))
    }

    /// The address of each, for the owner.
    pub(super) fn urls(&self) -> Vec<String> {
        self.0.iter().map(|node| node.url.clone()).collect()
    }

    pub(super) fn are_here(&self) -> bool {
        !self.0.is_empty()
    }

    /// Ends one at once, as a crash would; one that is down stays so.
    pub(super) async fn crash(&self, node: usize) -> anyhow::Result<()> {
        let node = self.node(node)?;
        match node.server.lock().await.take() {
            Some(server) => server.crash().await,
            None => Ok(()),
        }
    }

    /// Starts one again where it was; one that is up stays so.
    pub(super) async fn start_again(&self, node: usize) -> anyhow::Result<()> {
        let node = self.node(node)?;
        let mut server = node.server.lock().await;
        if server.is_none() {
            let started = Postgres::start_with(&node.state, Some(node.port), node.durability).await;
            *server = Some(started.context("PostgreSQL doesn't start again")?);
        }
        Ok(())
    }

    /// Ends all of them; gives what failed.
    pub(super) async fn stop(self) -> Vec<anyhow::Error> {
        let stops = self.0.into_iter().map(|node| async {
            match node.server.into_inner() {
                Some(server) => server.stop().await,
                None => Ok(()),
            }
        });
        join_all(stops)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    fn node(&self, node: usize) -> anyhow::Result<&Node> {
        self.0
            .get(node)
            .with_context(|| format!("no node {node} runs here"))
    }
}

impl Node {
    async fn start(
        state: PathBuf,
        port: Option<u16>,
        durability: Durability,
        users: &BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let started = Postgres::start_with(&state, port, durability).await;
        let postgres = started.context("PostgreSQL doesn't start")?;
        postgres.create_users(users).await?;
        Ok(Self {
            state,
            durability,
            port: postgres.port(),
            url: postgres.url().to_owned(),
            server: Mutex::new(Some(postgres)),
        })
    }
}

/// A node that isn't started any more would take its clients along, and there is no end of them.
fn refuse_other_numbers(options: &Options) -> anyhow::Result<()> {
    ensure!(
        (1..=MAX_WALLET_NODES).contains(&options.wallet_nodes),
        "there may be 1 to {MAX_WALLET_NODES} nodes of the wallets"
    );
    let there = folders_of_nodes(&options.state).count();
    let there = u16::try_from(there).unwrap_or(u16::MAX).saturating_add(1);
    if there > options.wallet_nodes {
        bail!(
            "the state has {there} nodes of the wallets: --wallet-nodes {there} starts them, --fresh forgets them"
        );
    }
    Ok(())
}

/// The folders of the further nodes of a state.
pub(super) fn folders_of_nodes(state: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(state).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(NODE_FOLDER))
        .map(|entry| entry.path())
}
