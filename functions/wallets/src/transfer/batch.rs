//! Many transfers in one call.

use std::collections::BTreeMap;

use domain::ids::{ClientId, PaymentId};
use futures::future::join_all;
use platform::error::PlatformError;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::observability::correlation;
use platform::security::identity::Caller;
use serde::Serialize;

use super::mode::Mode;
use super::store::{self, Batch, Moment, Order, Outcome};
use super::{
    BatchMode, BatchTransfer, MAX_ATTEMPTS, TransferBatchRequest, TransferRequest, Transfers, order,
};
use crate::Error;
use crate::client::access::Mover;
use crate::payment::store::Payment;
use crate::payment::view::PaymentView;
use crate::payment_request::BatchKey;
use crate::placement::Slot;

/// Most transfers of a batch.
pub const MAX_BATCH_SIZE: usize = 500;

/// What each transfer of a batch came to: a payment, new or made before, or why it was refused.
pub type Results = Vec<Result<Replayable<PaymentView>, Error>>;

/// What the database made of a batch, and the payments that were made before, as they are now.
type Made = (Replayable<Vec<Outcome>>, BTreeMap<PaymentId, Payment>);

/// Everything that a batch is about: it belongs to the batch's key.
#[derive(Serialize)]
struct Keyed<'a> {
    mode: BatchMode,
    transfers: Vec<(ClientId, TransferRequest, Option<&'a str>)>,
}

impl Transfers {
    /// Makes many transfers in their order, in one call of the database, once per key: the same batch again is answered as it
    /// was. Where each counts by itself, a refused one has its refusal in its place. A transfer whose own key was used before
    /// gives what it made then.
    ///
    /// # Errors
    /// Rejected for an empty or too large batch and for a key that was used for another one, and in [`BatchMode::Atomic`] with
    /// the refusal of the first that was refused; nothing is written then.
    pub async fn batch(
        &self,
        caller: Caller,
        key: &IdempotencyKey,
        request: TransferBatchRequest,
    ) -> Result<Replayable<Results>, Error> {
        check_size(request.transfers.len())?;
        let moment = self.moment();
        let batch_key = BatchKey::new(caller, key.as_str(), &Keyed::of(&request))?;
        let orders = request
            .transfers
            .iter()
            .enumerate()
            .map(|(position, item)| order_of(caller, key, position, &item.0, moment));
        let checked = match request.mode {
            BatchMode::Atomic => all(orders)?,
            BatchMode::Each => orders.collect(),
        };
        let orders: Vec<&Order> = checked.iter().flatten().collect();
        let all_or_none = request.mode == BatchMode::Atomic;
        let (outcomes, made_before) = self
            .make_at_nodes(batch_key, &orders, all_or_none, moment)
            .await?;
        let is_new = !outcomes.replayed;
        let results = outcomes.map(|outcomes| results(checked, outcomes, &made_before, moment));
        let results = Replayable {
            replayed: results.replayed,
            value: results.value?,
        };
        if is_new && results.value.iter().flatten().any(|made| !made.replayed) {
            self.wake().await;
        }
        Ok(results)
    }

    /// Makes the orders, each at its payer's node, in one call for each node.
    ///
    /// The key is kept where its hash says. Where that isn't the one node of all payers, it is kept before anything is made, and
    /// each node keeps what came of its part: a batch that was cut off goes on, when it is sent again, with the parts that weren't
    /// made, and another one under the key is refused.
    async fn make_at_nodes(
        &self,
        key: BatchKey,
        orders: &[&Order],
        all_or_none: bool,
        moment: Moment,
    ) -> Result<Made, Error> {
        let with_key = self.nodes.slot_of_name(key.name.id);
        let places = orders.iter().copied().enumerate();
        let parts = self.nodes.by_slot(places, |(_, order)| order.payer());
        if parts.keys().all(|slot| *slot == with_key) {
            let batch = Batch {
                key,
                orders,
                all_or_none,
            };
            return self.make(with_key, &batch, moment).await;
        }
        if all_or_none && parts.len() > 1 {
            return Err(Error::BatchSpansNodes);
        }
        let nothing_yet = Batch {
            key,
            orders: &[],
            all_or_none,
        };
        self.make(with_key, &nothing_yet, moment).await?;
        let making = parts.into_iter().map(|(slot, part)| async move {
            let (places, orders): (Vec<usize>, Vec<&Order>) = part.into_iter().unzip();
            let batch = Batch {
                key: key.of_part(),
                orders: &orders,
                all_or_none,
            };
            let made = self.make(slot, &batch, moment).await?;
            Ok::<_, Error>((places, made))
        });
        let (made, failed): (Vec<_>, Vec<_>) = join_all(making)
            .await
            .into_iter()
            .partition(Result::<_, Error>::is_ok);
        if let Some(Err(failure)) = failed.into_iter().next() {
            if !made.is_empty() {
                self.wake().await;
            }
            return Err(failure);
        }
        put_together(made.into_iter().flatten().collect())
    }

    async fn make(&self, slot: Slot, batch: &Batch<'_>, moment: Moment) -> Result<Made, Error> {
        let mut attempt = 1;
        let (outcomes, made_before) = loop {
            match self.pay_all(slot, batch, moment).await {
                Err(Error::Contended) if attempt < MAX_ATTEMPTS => attempt += 1,
                made => break made?,
            }
        };
        if batch.all_or_none {
            for (position, outcome) in outcomes.value.iter().enumerate() {
                if let Some(error) = outcome.refusal(moment)? {
                    return Err(error.of_batch(position));
                }
            }
        }
        let by_id = made_before.into_iter().map(|payment| (payment.id, payment));
        Ok((outcomes, by_id.collect()))
    }

    async fn pay_all(
        &self,
        slot: Slot,
        batch: &Batch<'_>,
        moment: Moment,
    ) -> Result<(Replayable<Vec<Outcome>>, Vec<Payment>), Error> {
        let correlation = correlation::current();
        let correlation = correlation.as_str();
        match &self.mode {
            Mode::Immediate => {
                self.nodes
                    .of_slot(slot)
                    .with(async |connection| {
                        let made = store::transfer_batch(connection, batch, correlation, moment).await?;
                        let orders = batch.orders.iter().copied();
                        let before = store::made_before(connection, made.value.iter().zip(orders)).await?;
                        Ok((made, before))
                    })
                    .await
            }
            Mode::Deferred(deferred) => {
                deferred
                    .debit_batch(&self.nodes, slot, batch, correlation, moment)
                    .await
            }
        }
    }
}

/// What came of the parts of a batch, in the order of its orders; each part with the places of its own.
fn put_together(parts: Vec<(Vec<usize>, Made)>) -> Result<Made, Error> {
    let replayed = parts.iter().all(|(_, (outcomes, _))| outcomes.replayed);
    let mut in_order = BTreeMap::new();
    let mut made_before = BTreeMap::new();
    for (places, (outcomes, before)) in parts {
        if places.len() != outcomes.value.len() {
            return Err(PlatformError::Stored("part of a batch").into());
        }
        in_order.extend(places.into_iter().zip(outcomes.value));
        made_before.extend(before);
    }
    let value = in_order.into_values().collect();
    Ok((Replayable { value, replayed }, made_before))
}

impl<'a> Keyed<'a> {
    fn of(request: &'a TransferBatchRequest) -> Self {
        let transfers = request.transfers.iter().map(|item| {
            let own_key = item.0.idempotency_key.as_ref();
            (
                item.0.client_id,
                item.0.transfer(),
                own_key.map(IdempotencyKey::as_str),
            )
        });
        Self {
            mode: request.mode,
            transfers: transfers.collect(),
        }
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

/// The transfer at a position of the batch. Without a key of its own it is made under the batch's; what stands here is the key
/// that was derived from that before batches had keys, by which an earlier batch that is sent again is known.
fn order_of(
    caller: Caller,
    key: &IdempotencyKey,
    position: usize,
    item: &BatchTransfer,
    moment: Moment,
) -> Result<Order, Error> {
    let transfer = item.transfer();
    let mover = Mover::service(caller, item.client_id);
    match &item.idempotency_key {
        Some(own) => order(mover, own.as_str(), true, transfer, moment),
        None => order(
            mover,
            &format!("{}#{position}", key.as_str()),
            false,
            transfer,
            moment,
        ),
    }
}

/// All orders, unless one is refused.
fn all(orders: impl Iterator<Item = Result<Order, Error>>) -> Result<Vec<Result<Order, Error>>, Error> {
    orders
        .enumerate()
        .map(|(position, order)| order.map(Ok).map_err(|error| error.of_batch(position)))
        .collect()
}

/// What was checked, with what came of it, in the same order.
fn results(
    checked: Vec<Result<Order, Error>>,
    outcomes: Vec<Outcome>,
    made_before: &BTreeMap<PaymentId, Payment>,
    moment: Moment,
) -> Result<Results, Error> {
    let mut outcomes = outcomes.into_iter();
    let mut results = Results::with_capacity(checked.len());
    for order in checked {
        results.push(match order {
            Err(refused) => Err(refused),
            Ok(order) => {
                let outcome = outcomes.next().ok_or(PlatformError::Stored("transfer_batch"))?;
                let made_before = outcome.made_before().and_then(|id| made_before.get(&id).cloned());
                let payment = outcome.into_payment(&order, made_before, moment);
                payment.map(|payment| payment.map(|payment| PaymentView::from(&payment)))
            }
        });
    }
    Ok(results)
}
