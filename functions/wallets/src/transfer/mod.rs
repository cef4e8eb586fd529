//! Transfers between wallets: one call of the database each, with everything that belongs to it (the two payments, the
//! balances, the events, the idempotency record), or one call for many. See README, Transfers.
//!
//! The database's functions lock in one order: the key; then the wallets, by client and id.
//!
//! Deferred, a call takes the payer's money alone; [`transfer_order`](crate::transfer_order) does the rest.

mod batch;
mod mode;
mod receiver;
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
use crate::payment::store::Payment;
use crate::payment::view::PaymentView;
use crate::payment_request::{Operation, PaymentRequest};
use crate::placement::Nodes;
use crate::rate::limits;
use mode::Mode;
use store::{Moment, Order, Outcome};

pub use batch::{MAX_BATCH_SIZE, Results};
pub use request::{BatchMode, BatchTransfer, TransferBatchRequest, TransferRequest};

/// How often a transfer is tried whose payer's balance went down at the same moment. Every time somebody else's payment got
/// through, so a wallet that many pay from at once gets there.
const MAX_ATTEMPTS: usize = 10;

/// Transfers.
#[derive(Debug)]
pub struct Transfers {
    nodes: Nodes,
    clock: ClockHandle,
    max_age: RateMaxAge,
    mode: Mode,
    relay: Option<RelayWaker>,
}

platform::from_environment!(Transfers {
    nodes,
    clock,
    max_age: limits::read_max_age,
    mode: Mode::read,
    relay: |environment: &mut Environment| RelayWaker::read(environment).map(Some),
});

impl Transfers {
    /// Transfers in a database, at rates that count for a week, without waking the relay, which makes their events fast: for
    /// tests and benchmarks.
    pub fn at(database: Database, clock: ClockHandle) -> Self {
        Self {
            nodes: Nodes::one(database),
            clock,
            max_age: RateMaxAge::WEEK,
            mode: Mode::Immediate,
            relay: None,
        }
    }

    /// As [`at`](Self::at), with transfers that are deferred, and nobody woken to go on with them.
    pub fn deferred_at(database: Database, clock: ClockHandle) -> Self {
        Self {
            mode: Mode::deferred(None),
            ..Self::at(database, clock)
        }
    }

    /// As [`deferred_at`](Self::deferred_at), over several nodes in the order of their slots; `None` without any.
    pub fn deferred_at_nodes(databases: Vec<Database>, clock: ClockHandle) -> Option<Self> {
        let nodes = Nodes::of_databases(databases)?;
        let first = nodes.first().clone();
        Some(Self {
            nodes,
            ..Self::deferred_at(first, clock)
        })
    }

    /// Moves money from the client's wallet to the receiver's, once per key; deferred, takes it from the client's. Asked again,
    /// it gives the payment as it is now.
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
        let mut attempt = 1;
        let (outcome, made_before) = loop {
            let made = self.pay(&order, moment).await;
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
        let made = outcome.into_payment(&order, made_before, moment)?;
        if !made.replayed {
            self.wake().await;
        }
        Ok(made.map(|payment| PaymentView::from(&payment)))
    }

    /// Makes the transfer, or its payer's half, at the payer's node; gives what came of it, and the payment that was made before.
    async fn pay(&self, order: &Order, moment: Moment) -> Result<(Outcome, Option<Payment>), Error> {
        let correlation = correlation::current();
        let correlation = correlation.as_str();
        match &self.mode {
            Mode::Immediate => {
                self.nodes
                    .of(order.payer())
                    .with(async |connection| {
                        let outcome = store::transfer(connection, order, correlation, moment).await?;
                        let before = store::made_before(connection, [(&outcome, order)]).await?.pop();
                        Ok((outcome, before))
                    })
                    .await
            }
            Mode::Deferred(deferred) => deferred.debit(&self.nodes, order, correlation, moment).await,
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            max_age: self.max_age,
        }
    }

    /// Wakes whoever goes on: the relay, for the events; deferred, the settlement, which has none yet.
    async fn wake(&self) {
        match (&self.mode, &self.relay) {
            (Mode::Deferred(deferred), _) => deferred.wake().await,
            (Mode::Immediate, Some(relay)) => relay.wake().await,
            (Mode::Immediate, None) => {}
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
