//! Where clients live: a client's slot stands in the high bits of its id and never changes, and each slot is a database, a
//! node. Slot 0 is the deployment's own database; `WALLET_NODES` lists the others, in the order of their slots. See
//! `SCALING.md`.
//!
//! What a request does on one node it does with that node's connection alone, and gives it back before it asks another one.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::ClientId;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::error::PlatformError;
use platform::observability::metrics;
use uuid::Uuid;

use crate::Error;

/// How many bits of an id are below its slot (migration 0061).
const BITS_BELOW_SLOT: u32 = 40;

/// A slot, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(i16);

impl Slot {
    /// That of the deployment's own database, and of all clients where there is no other.
    pub(crate) const FIRST: Self = Self(0);

    /// As it is stored with orders.
    pub(crate) const fn number(self) -> i16 {
        self.0
    }
}

/// The databases of the wallets, each with its slot.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    first: Database,
    further: Vec<Database>,
    /// Over how many of them, from the first one on, names are spread.
    with_names: u64,
}

impl FromEnvironment for Nodes {
    /// Reads `WALLET_NODES`, and `WALLET_NAME_NODES`: over how many of the nodes names are spread, all unless given. That
    /// number stays as it is when nodes are added, until the names are moved.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| {
            let nodes = Database::read_nodes(environment, "WALLET_NODES");
            let with_names = environment.optional::<u64>("WALLET_NAME_NODES");
            let mut nodes = Self::of_databases(nodes?)?;
            if let Some(with_names) = with_names {
                if !(1..=nodes.with_names).contains(&with_names) {
                    environment.problem("WALLET_NAME_NODES has to be 1 to the number of nodes".to_owned());
                    return None;
                }
                nodes.with_names = with_names;
            }
            Some(nodes)
        })
    }
}

impl Nodes {
    /// A single one.
    pub(crate) const fn one(database: Database) -> Self {
        Self {
            first: database,
            further: Vec::new(),
            with_names: 1,
        }
    }

    /// In the order of their slots; `None` without any.
    pub(crate) fn of_databases(databases: Vec<Database>) -> Option<Self> {
        let with_names = u64::try_from(databases.len()).ok()?;
        let mut databases = databases.into_iter();
        Some(Self {
            first: databases.next()?,
            further: databases.collect(),
            with_names,
        })
    }

    /// Whether there is one alone.
    pub(crate) const fn is_one(&self) -> bool {
        self.further.is_empty()
    }

    /// The deployment's own database.
    pub(crate) const fn first(&self) -> &Database {
        &self.first
    }

    /// All of them, with their slots.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Slot, &Database)> {
        (0_i16..)
            .map(Slot)
            .zip(std::iter::once(&self.first).chain(&self.further))
    }

    /// The slot of a client; of one whose id is of no slot that there is, the first one, which doesn't know it.
    pub(crate) fn slot_of(&self, client: ClientId) -> Slot {
        let slot = client.get() >> BITS_BELOW_SLOT;
        let known = usize::try_from(slot)
            .ok()
            .filter(|slot| *slot <= self.further.len());
        known
            .and_then(|_| i16::try_from(slot).ok())
            .map_or(Slot::FIRST, Slot)
    }

    /// The node of a slot.
    pub(crate) fn of_slot(&self, slot: Slot) -> &Database {
        let place = usize::try_from(slot.0).ok().and_then(|slot| slot.checked_sub(1));
        place
            .and_then(|place| self.further.get(place))
            .unwrap_or(&self.first)
    }

    /// The node of a client.
    pub(crate) fn of(&self, client: ClientId) -> &Database {
        self.of_slot(self.slot_of(client))
    }

    /// Checks that an id that was given out is of this slot.
    ///
    /// # Errors
    /// When it isn't: the list of nodes lacks one, or has another order.
    pub(crate) fn check(&self, client: ClientId, slot: Slot) -> Result<(), Error> {
        if self.is_one() || i64::from(slot.0) == client.get() >> BITS_BELOW_SLOT {
            Ok(())
        } else {
            Err(PlatformError::Stored("client's slot").into())
        }
    }

    /// Where a name is kept that leads to a client or a batch: by its hash.
    pub(crate) fn slot_of_name(&self, name: Uuid) -> Slot {
        slot_at(name.as_u128() % u128::from(self.with_names))
    }

    /// Where a client lives that is registered under this name.
    pub(crate) fn slot_of_new(&self, name: Uuid) -> Slot {
        let nodes = u128::try_from(self.further.len()).map_or(1, |further| further + 1);
        // Other bits than those that say where the name is.
        slot_at((name.as_u128() >> 64) % nodes)
    }

    /// Items by the slot of the client that each is about; in a slot as they came.
    pub(crate) fn by_slot<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        client: impl Fn(&T) -> ClientId,
    ) -> BTreeMap<Slot, Vec<T>> {
        let mut by_slot: BTreeMap<Slot, Vec<T>> = BTreeMap::new();
        for item in items {
            by_slot.entry(self.slot_of(client(&item))).or_default().push(item);
        }
        by_slot
    }
}

/// The slot at a place in the list of nodes.
fn slot_at(place: u128) -> Slot {
    i16::try_from(place).map_or(Slot::FIRST, Slot)
}

/// Whether an error says that a node can't be reached, or is about to stop: nothing there can be done now.
pub(crate) fn is_out_of_reach(error: &Error) -> bool {
    let Error::Platform(PlatformError::Database(error)) = error else {
        return false;
    };
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => {
            true
        }
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| ["08", "57P"].iter().any(|start| code.starts_with(start))),
        _ => false,
    }
}

/// Of what was to be done at several nodes: which of the further ones were out of reach, and what else failed.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    pub(crate) out_of_reach: BTreeSet<i16>,
    pub(crate) other: Option<Error>,
}

impl Failures {
    /// An error that was met at the node of a slot. What the deployment's own database fails with is the run's own failure, as
    /// where there is no other one.
    pub(crate) fn add(&mut self, slot: Slot, error: Error) {
        if slot != Slot::FIRST && is_out_of_reach(&error) {
            tracing::warn!(node = slot.0, %error, "a node of the wallets is out of reach");
            self.out_of_reach.insert(slot.0);
        } else {
            tracing::error!(node = slot.0, %error, "a node of the wallets failed");
            self.other.get_or_insert(error);
        }
    }

    /// Adds those of a part.
    pub(crate) fn extend(&mut self, part: Self) {
        self.out_of_reach.extend(part.out_of_reach);
        self.other = self.other.take().or(part.other);
    }

    /// Counts the nodes out of reach, for the alarm.
    ///
    /// # Errors
    /// What else failed.
    pub(crate) fn end(self) -> Result<BTreeSet<i16>, Error> {
        if !self.out_of_reach.is_empty() {
            let nodes = u64::try_from(self.out_of_reach.len()).unwrap_or(u64::MAX);
            metrics::count("WalletNodesOutOfReach", nodes);
        }
        self.other.map_or(Ok(self.out_of_reach), Err)
    }
}

#[cfg(test)]
mod tests;
