//! What a payer's side knows of receivers. A wallet never changes its currency and is never closed, so one that was seen once
//! is enough to go by; that a receiver lacks one is looked up anew each time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use domain::ids::{ClientId, WalletId};
use sqlx::PgConnection;

use crate::Error;
use crate::client::store as clients;

/// Most receivers that are kept; beyond, all are forgotten.
const MAX_KEPT: usize = 10_000;
/// The node of all clients, as long as there is one.
const NODE: i16 = 0;

/// A receiver's wallets, each with its currency.
#[derive(Debug, Clone, Default)]
pub(super) struct Receiver {
    pub(super) wallets: Vec<WalletId>,
    pub(super) currencies: Vec<i16>,
    /// Where they are.
    pub(super) node: i16,
    /// Read for this transfer; otherwise there may be more by now.
    pub(super) looked_at_now: bool,
}

/// Receivers that were seen before.
#[derive(Debug, Default)]
pub(super) struct Receivers(Mutex<HashMap<ClientId, Receiver>>);

impl Receivers {
    /// What is known of these clients; of all of them anew where one isn't known, or where that is asked for.
    pub(super) async fn find(
        &self,
        connection: &mut PgConnection,
        ids: &[ClientId],
        anew: bool,
    ) -> Result<Vec<Receiver>, Error> {
        if !anew && let Some(known) = self.known(ids) {
            return Ok(known);
        }
        let mut found: BTreeMap<ClientId, Receiver> = BTreeMap::new();
        for wallet in clients::wallets_of(connection, ids).await? {
            let receiver = found.entry(wallet.client_id).or_default();
            receiver.wallets.push(wallet.id);
            receiver.currencies.push(wallet.currency.0.numeric());
        }
        self.keep(&found);
        let receiver = |id: &ClientId| Receiver {
            node: NODE,
            looked_at_now: true,
            ..found.get(id).cloned().unwrap_or_default()
        };
        Ok(ids.iter().map(receiver).collect())
    }

    fn known(&self, ids: &[ClientId]) -> Option<Vec<Receiver>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().map(|id| kept.get(id).cloned()).collect()
    }

    fn keep(&self, found: &BTreeMap<ClientId, Receiver>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len().saturating_add(found.len()) > MAX_KEPT {
            kept.clear();
        }
        kept.extend(found.iter().map(|(id, receiver)| (*id, receiver.clone())));
    }
}
