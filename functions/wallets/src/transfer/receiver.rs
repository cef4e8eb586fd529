//! What a payer's side knows of receivers. A wallet never changes its currency and is never closed, so one that was seen once
//! is enough to go by; that a receiver lacks one is looked up anew each time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use domain::ids::ClientId;
use futures::future::join_all;

use super::store::{Look, Receiver};
use crate::Error;
use crate::client::store as clients;
use crate::placement::{Nodes, is_out_of_reach};

/// Most receivers that are kept; beyond, all are forgotten.
const MAX_KEPT: usize = 10_000;

/// What was found of receivers, one for each that was asked for.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) receivers: Vec<Receiver>,
    /// Why some of them couldn't be looked at; those stand here as if nothing were known of them.
    pub(super) failure: Option<Error>,
}

/// Receivers that were seen before.
#[derive(Debug, Default)]
pub(super) struct Receivers(Mutex<HashMap<ClientId, Receiver>>);

impl Receivers {
    /// What is known of these clients; of all of them anew, each asked for at its node, where one isn't known, or where that is
    /// asked for.
    pub(super) async fn find(&self, nodes: &Nodes, ids: &[ClientId], anew: bool) -> Found {
        if !anew && let Some(receivers) = self.known(ids) {
            return Found {
                receivers,
                failure: None,
            };
        }
        let by_slot = nodes.by_slot(ids.iter().copied(), |id| *id);
        let looks = by_slot.iter().map(|(slot, ids)| {
            let node = nodes.of_slot(*slot);
            async move {
                node.with(async |connection| clients::wallets_of(connection, ids).await)
                    .await
            }
        });
        let mut found: BTreeMap<ClientId, Receiver> = BTreeMap::new();
        let mut failure = None;
        let mut looks_of_slots = BTreeMap::new();
        for (slot, wallets) in by_slot.keys().zip(join_all(looks).await) {
            let look = match &wallets {
                Ok(_) => Look::Now,
                Err(error) if is_out_of_reach(error) => Look::OutOfReach,
                Err(_) => Look::Before,
            };
            looks_of_slots.insert(*slot, look);
            match wallets {
                Ok(wallets) => {
                    for wallet in wallets {
                        let receiver = found.entry(wallet.client_id).or_default();
                        receiver.slot = nodes.slot_of(wallet.client_id).number();
                        receiver.wallets.push(wallet.id);
                        receiver.currencies.push(wallet.currency.0.numeric());
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        self.cache(&found);
        // Of those that couldn't be looked at, what was known counts.
        let known_before = if failure.is_some() {
            self.kept(ids)
        } else {
            HashMap::new()
        };
        let receiver = |id: &ClientId| {
            let known = found.get(id).or_else(|| known_before.get(id));
            Receiver {
                look: looks_of_slots
                    .get(&nodes.slot_of(*id))
                    .copied()
                    .unwrap_or_default(),
                ..known.cloned().unwrap_or_default()
            }
        };
        Found {
            receivers: ids.iter().map(receiver).collect(),
            failure,
        }
    }

    fn known(&self, ids: &[ClientId]) -> Option<Vec<Receiver>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().map(|id| kept.get(id).cloned()).collect()
    }

    fn kept(&self, ids: &[ClientId]) -> HashMap<ClientId, Receiver> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = |id: &ClientId| Some((*id, kept.get(id)?.clone()));
        ids.iter().filter_map(of_client).collect()
    }

    fn cache(&self, found: &BTreeMap<ClientId, Receiver>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len().saturating_add(found.len()) > MAX_KEPT {
            kept.clear();
        }
        kept.extend(found.iter().map(|(id, receiver)| (*id, receiver.clone())));
    }
}
