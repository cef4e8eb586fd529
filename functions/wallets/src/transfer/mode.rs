//! When a receiver has its money: at once, or when the settlement has got to it.

use std::str::FromStr;

use domain::ids::ClientId;
use platform::config::{Environment, FromEnvironment};
use platform::idempotency::Replayable;
use sqlx::PgConnection;

use super::receiver::Receivers;
use super::store::{self, Batch, Moment, Order, Outcome};
use crate::Error;
use crate::transfer_order::TransferWaker;

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
    waker: Option<TransferWaker>,
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
    /// Reads `TRANSFER_MODE` and `QUEUE_TRANSFER_NUDGES_URL`.
    pub(super) fn read(environment: &mut Environment) -> Option<Self> {
        let waker = TransferWaker::read(environment);
        match environment.required("TRANSFER_MODE")? {
            Name::Immediate => Some(Self::Immediate),
            Name::Deferred => Some(Self::deferred(Some(waker?))),
        }
    }

    pub(super) fn deferred(waker: Option<TransferWaker>) -> Self {
        Self::Deferred(Deferred {
            receivers: Receivers::default(),
            waker,
        })
    }
}

impl Deferred {
    pub(super) async fn debit(
        &self,
        connection: &mut PgConnection,
        order: &Order,
        correlation: &str,
        moment: Moment,
    ) -> Result<Outcome, Error> {
        let mut anew = false;
        loop {
            let receivers = self.receivers.find(connection, &[order.receiver()], anew).await?;
            let receiver = receivers.into_iter().next().unwrap_or_default();
            let outcome = store::debit(connection, order, &receiver, correlation, moment).await?;
            if !outcome.looks_again() || receiver.looked_at_now {
                return Ok(outcome);
            }
            anew = true;
        }
    }

    pub(super) async fn debit_batch(
        &self,
        connection: &mut PgConnection,
        batch: &Batch<'_>,
        correlation: &str,
        moment: Moment,
    ) -> Result<Replayable<Vec<Outcome>>, Error> {
        let ids: Vec<ClientId> = batch.orders.iter().map(|order| order.receiver()).collect();
        let mut anew = false;
        loop {
            let receivers = self.receivers.find(connection, &ids, anew).await?;
            let made = store::debit_batch(connection, batch, &receivers, correlation, moment).await?;
            match made {
                Some(made) => return Ok(made),
                None if anew => return Err(Error::Contended),
                None => anew = true,
            }
        }
    }

    pub(super) async fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake().await;
        }
    }
}
