//! When a receiver has its money: at once, or when the settlement has got to it.

use std::str::FromStr;

use domain::ids::ClientId;
use platform::config::{Environment, FromEnvironment};
use platform::idempotency::Replayable;
use platform::messaging::waker::Waker;

use super::receiver::Receivers;
use super::store::{self, Batch, Look, Moment, Order, Outcome, Receiver};
use crate::Error;
use crate::payment::store::Payment;
use crate::placement::{Nodes, Slot};

/// How transfers are made.
#[derive(Debug)]
pub(super) enum Mode {
    /// Both sides in one transaction.
    Immediate,
    /// The payer's side alone.
    Deferred(Deferred),
}

/// Takes the payers' money.
#[derive(Debug)]
pub(super) struct Deferred {
    receivers: Receivers,
    waker: Option<Waker>,
}

/// `TRANSFER_MODE`.
#[derive(Debug, Clone, Copy)]
enum Name {
    Immediate,
    Deferred,
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "immediate" => Ok(Self::Immediate),
            "deferred" => Ok(Self::Deferred),
            _ => Err("has to be immediate or deferred"),
        }
    }
}

impl Mode {
    /// Reads `TRANSFER_MODE` and `QUEUE_TRANSFER_NUDGES_URL`. Over several nodes there is no transaction with both sides.
    pub(super) fn read(environment: &mut Environment) -> Option<Self> {
        let waker = Waker::named("TRANSFER_NUDGES", "transfers")(environment);
        let is_one = Nodes::read(environment).map(|nodes| nodes.is_one());
        match environment.required("TRANSFER_MODE")? {
            Name::Deferred => Some(Self::deferred(Some(waker?))),
            Name::Immediate if is_one == Some(false) => {
                environment
                    .problem("TRANSFER_MODE has to be deferred where WALLET_NODES has nodes".to_owned());
                None
            }
            Name::Immediate => Some(Self::Immediate),
        }
    }

    pub(super) fn deferred(waker: Option<Waker>) -> Self {
        Self::Deferred(Deferred {
            receivers: Receivers::default(),
            waker,
        })
    }
}

impl Deferred {
    /// Takes the payer's money at the payer's node. Where the receiver isn't known and its node is out of reach, a transfer that
    /// was made before is found all the same.
    pub(super) async fn debit(
        &self,
        nodes: &Nodes,
        order: &Order,
        correlation: &str,
        moment: Moment,
    ) -> Result<(Outcome, Option<Payment>), Error> {
        let (payers, slot) = (nodes.of(order.payer()), nodes.slot_of(order.receiver()));
        let debit = async |receiver: Option<&Receiver>| {
            payers
                .with(async |connection| {
                    let outcome =
                        store::debit(connection, order, slot, receiver, correlation, moment).await?;
                    let before = store::made_before(connection, [(&outcome, order)]).await?.pop();
                    Ok::<_, Error>((outcome, before))
                })
                .await
        };
        if slot == nodes.slot_of(order.payer()) {
            let made = debit(None).await?;
            // The database finds the receiver's wallets itself, but for one that migration 0063 hasn't come to yet.
            if !made.0.looks_again() {
                return Ok(made);
            }
        }
        let mut anew = false;
        loop {
            let found = self.receivers.find(nodes, &[order.receiver()], anew).await;
            let receiver = found.receivers.into_iter().next().unwrap_or_default();
            let made = debit(Some(&receiver)).await?;
            match found.failure {
                _ if !made.0.looks_again() => return Ok(made),
                Some(failure) => return Err(failure),
                None if receiver.look == Look::Now => return Ok(made),
                None => anew = true,
            }
        }
    }

    /// Takes the money of payers who live on one node.
    pub(super) async fn debit_batch(
        &self,
        nodes: &Nodes,
        slot: Slot,
        batch: &Batch<'_>,
        correlation: &str,
        moment: Moment,
    ) -> Result<(Replayable<Vec<Outcome>>, Vec<Payment>), Error> {
        let payers = nodes.of_slot(slot);
        let ids: Vec<ClientId> = batch.orders.iter().map(|order| order.receiver()).collect();
        let mut anew = false;
        loop {
            let found = self.receivers.find(nodes, &ids, anew).await;
            let made = payers
                .with(async |connection| {
                    let receivers = &found.receivers;
                    let made = store::debit_batch(connection, batch, receivers, correlation, moment).await?;
                    let Some(made) = made else {
                        return Ok(None);
                    };
                    let orders = batch.orders.iter().copied();
                    let before = store::made_before(connection, made.value.iter().zip(orders)).await?;
                    Ok::<_, Error>(Some((made, before)))
                })
                .await?;
            match (made, found.failure) {
                (Some(made), _) => return Ok(made),
                (None, Some(failure)) => return Err(failure),
                (None, None) if anew => return Err(Error::Contended),
                (None, None) => anew = true,
            }
        }
    }

    pub(super) async fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake().await;
        }
    }
}
