//! Transfers between wallets: one call of the database each, with everything that belongs to it (the two payments, the
//! balances, the events, the idempotency record), or one call for many. See README, Transfers.
//!
//! The database's functions lock in one order: the key; then the wallets, by client and id.

mod batch;
mod request;
mod store;
pub mod view;

use domain::wallets::rates::RateMaxAge;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::correlation;

use crate::Error;
use crate::client::access::Mover;
use crate::payment::view::PaymentView;
use crate::payment_request::{Operation, PaymentRequest};
use crate::rate::limits;
use store::{Moment, Order};

pub use batch::{MAX_BATCH_SIZE, Results};
pub use request::{BatchMode, BatchTransfer, TransferBatchRequest, TransferRequest};

/// How often a transfer is tried whose payer's balance went down at the same moment. Every time somebody else's payment got
/// through, so a wallet that many pay from at once gets there.
const MAX_ATTEMPTS: usize = 10;

/// Transfers.
#[derive(Debug)]
pub struct Transfers {
    database: Database,
    clock: ClockHandle,
    max_age: RateMaxAge,
    relay: Option<RelayWaker>,
}

platform::from_environment!(Transfers {
    database,
    clock,
    max_age: limits::read_max_age,
    relay: |environment: &mut Environment| RelayWaker::read(environment).map(Some),
});

impl Transfers {
    /// Transfers in a database, at rates that count for a week, without waking the relay, which makes their events fast: for
    /// tests and benchmarks.
    pub fn at(database: Database, clock: ClockHandle) -> Self {
        Self {
            database,
            clock,
            max_age: RateMaxAge::WEEK,
            relay: None,
        }
    }

    /// Moves money from the client's wallet to the receiver's, once per key.
    ///
    /// # Errors
    /// Not found for unknown wallets, payment required when there isn't enough, rejected for amounts and currencies that
    /// don't meet. Nothing is written then. A client isn't told whether a receiver exists that it can't pay.
    pub async fn transfer(
        &self,
        mover: Mover,
        key: &IdempotencyKey,
        transfer: TransferRequest,
    ) -> Result<Replayable<PaymentView>, Error> {
        let moment = self.moment();
        let order = order(mover, key.as_str(), true, transfer, moment)?;
        let correlation = correlation::current();
        let mut attempt = 1;
        let outcome = loop {
            let made = self
                .database
                .with(async |connection| {
                    store::transfer(connection, &order, correlation.as_str(), moment).await
                })
                .await;
            match made {
                // Another payment got in its way; what there is now decides.
                Err(Error::Contended) if attempt < MAX_ATTEMPTS => attempt += 1,
                made => break made?,
            }
        };
        let outcome = if mover.is_service {
            outcome
        } else {
            outcome.presumed()
        };
        let made = outcome.into_payment(&order, moment)?;
        if !made.replayed {
            self.wake_relay().await;
        }
        Ok(made.map(|payment| PaymentView::from(&payment)))
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            max_age: self.max_age,
        }
    }

    async fn wake_relay(&self) {
        if let Some(relay) = &self.relay {
            relay.wake().await;
        }
    }
}

/// A checked transfer under its key.
fn order(
    mover: Mover,
    key: &str,
    has_own_key: bool,
    transfer: TransferRequest,
    moment: Moment,
) -> Result<Order, Error> {
    transfer.check()?;
    let request = PaymentRequest::new(mover, Operation::Transfer, key, &transfer, moment.now)?;
    Ok(Order::new(request, has_own_key, transfer))
}
