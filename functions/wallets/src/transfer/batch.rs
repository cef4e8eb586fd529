//! Many transfers in one call.

use platform::error::PlatformError;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::observability::correlation;

use super::store::{self, Order, Outcome};
use super::{BatchMode, BatchTransfer, TransferBatchRequest, Transfers, order};
use crate::Error;
use crate::payment::view::PaymentView;

/// Most transfers of a batch.
pub const MAX_BATCH_SIZE: usize = 500;

impl Transfers {
    /// Makes many transfers in their order, in one call of the database. A transfer whose key was used before gives what
    /// it made then. Where each counts by itself, a refused one has its refusal in its place.
    ///
    /// # Errors
    /// Rejected for an empty or too large batch, and in [`BatchMode::Atomic`] with the refusal of the first that was
    /// refused; nothing is written then.
    pub async fn batch(
        &self,
        key: &IdempotencyKey,
        request: TransferBatchRequest,
    ) -> Result<Vec<Result<Replayable<PaymentView>, Error>>, Error> {
        check_size(request.transfers.len())?;
        let orders = request
            .transfers
            .iter()
            .enumerate()
            .map(|(position, item)| order_of(key, position, &item.0));
        let checked = match request.mode {
            BatchMode::Atomic => all(orders)?,
            BatchMode::Each => orders.collect(),
        };
        let orders: Vec<&Order> = checked.iter().flatten().collect();
        let mut outcomes = self.make(request.mode, &orders).await?.into_iter();
        let made: Vec<Result<Replayable<PaymentView>, Error>> = checked
            .into_iter()
            .map(|order| {
                let order = order?;
                let outcome = outcomes.next().ok_or(PlatformError::Stored("transfer_batch"))?;
                let payment = outcome.into_payment(&order)?;
                Ok(payment.map(|payment| PaymentView::from(&payment)))
            })
            .collect();
        if made.iter().flatten().any(|made| !made.replayed) {
            self.wake_relay().await;
        }
        Ok(made)
    }

    async fn make(&self, mode: BatchMode, orders: &[&Order]) -> Result<Vec<Outcome>, Error> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let is_atomic = mode == BatchMode::Atomic;
        let correlation = correlation::current();
        let outcomes = self
            .database
            .with(async |connection| {
                store::transfer_batch(connection, orders, correlation.as_str(), is_atomic).await
            })
            .await?;
        if is_atomic {
            for (position, outcome) in outcomes.iter().enumerate() {
                if let Some(error) = outcome.refusal()? {
                    return Err(error.of_batch(position));
                }
            }
        }
        Ok(outcomes)
    }
}

fn check_size(size: usize) -> Result<(), Error> {
    if (1..=MAX_BATCH_SIZE).contains(&size) {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "transfers",
        message: format!("has to hold 1 to {MAX_BATCH_SIZE} transfers; it holds {size}"),
    })
}

/// The transfer at a position of the batch, under its own key or the one that follows from the batch's.
fn order_of(key: &IdempotencyKey, position: usize, item: &BatchTransfer) -> Result<Order, Error> {
    let transfer = item.transfer();
    match &item.idempotency_key {
        Some(own) => order(item.client_id, own.as_str(), transfer),
        None => order(item.client_id, &format!("{}#{position}", key.as_str()), transfer),
    }
}

/// All orders, unless one is refused.
fn all(orders: impl Iterator<Item = Result<Order, Error>>) -> Result<Vec<Result<Order, Error>>, Error> {
    orders
        .enumerate()
        .map(|(position, order)| order.map(Ok).map_err(|error| error.of_batch(position)))
        .collect()
}
