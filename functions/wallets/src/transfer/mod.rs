//! Transfers between wallets: one call of the database each, with everything that belongs to it (the two payments, the
//! balances, the event, the idempotency record), or one call for many. See README, Transfers.
//!
//! The database's functions lock in one order: the keys, sorted; then the wallets, by client and id.

mod batch;
mod request;
mod store;
pub mod view;

use domain::ids::ClientId;
use platform::config::Environment;
use platform::database::Database;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::correlation;

use crate::Error;
use crate::payment::view::PaymentView;
use crate::payment_request::{Operation, PaymentRequest};
use store::Order;

pub use batch::MAX_BATCH_SIZE;
pub use request::{BatchMode, BatchTransfer, TransferBatchRequest, TransferRequest};

/// How often a transfer is tried whose payer's balance went down at the same moment. Every time somebody else's payment got
/// through, so a wallet that many pay from at once gets there.
const MAX_ATTEMPTS: usize = 10;

/// Transfers. They have no clock: their times are the database's, within its functions.
#[derive(Debug)]
pub struct Transfers {
    database: Database,
    relay: Option<RelayWaker>,
}

platform::from_environment!(Transfers {
    database,
    relay: |environment: &mut Environment| RelayWaker::read(environment).map(Some),
});

impl Transfers {
    /// Transfers in a database, without waking the relay, which makes their events fast: for tests and benchmarks.
    pub fn at(database: Database) -> Self {
        Self {
            database,
            relay: None,
        }
    }

    /// Moves money from the client's wallet to the receiver's, once per key.
    ///
    /// # Errors
    /// Not found for unknown wallets, payment required when there isn't enough, rejected for amounts and currencies that
    /// don't meet. Nothing is written then.
    pub async fn transfer(
        &self,
        client_id: ClientId,
        key: &IdempotencyKey,
        transfer: TransferRequest,
    ) -> Result<Replayable<PaymentView>, Error> {
        let order = order(client_id, key.as_str(), transfer)?;
        let correlation = correlation::current();
        let mut attempt = 1;
        let outcome = loop {
            let made = self
                .database
                .with(async |connection| store::transfer(connection, &order, correlation.as_str()).await);
            match made.await {
                // The balance went down after it was read and before the wallet was locked; what it is now decides.
                Err(Error::Contended) if attempt < MAX_ATTEMPTS => attempt += 1,
                made => break made?,
            }
        };
        let made = outcome.into_payment(&order)?;
        if !made.replayed {
            self.wake_relay().await;
        }
        Ok(made.map(|payment| PaymentView::from(&payment)))
    }

    async fn wake_relay(&self) {
        if let Some(relay) = &self.relay {
            relay.wake().await;
        }
    }
}

/// A checked transfer under its key.
fn order(client_id: ClientId, key: &str, transfer: TransferRequest) -> Result<Order, Error> {
    transfer.check()?;
    let request = PaymentRequest::new(client_id, Operation::Transfer, key, &transfer)?;
    Ok(Order::new(request, transfer))
}
