//! Many transfers in one call.

use std::collections::BTreeMap;

use domain::ids::{ClientId, PaymentId};
use platform::error::PlatformError;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::observability::correlation;
use platform::security::identity::Caller;
use serde::Serialize;
use sqlx::PgConnection;

use super::mode::Mode;
use super::store::{self, Batch, Moment, Order, Outcome};
use super::{
    BatchMode, BatchTransfer, MAX_ATTEMPTS, TransferBatchRequest, TransferRequest, Transfers, order,
};
use crate::Error;
use crate::client::access::Mover;
use crate::payment::store::{self as payments, Payment};
use crate::payment::view::PaymentView;
use crate::payment_request::BatchKey;

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
        let batch = Batch {
            key: batch_key,
            orders: &orders,
            all_or_none: request.mode == BatchMode::Atomic,
        };
        let (outcomes, made_before) = self.make(&batch, moment).await?;
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

    async fn make(&self, batch: &Batch<'_>, moment: Moment) -> Result<Made, Error> {
        let mut attempt = 1;
        let (outcomes, made_before) = loop {
            let made = self
                .database
                .with(async |connection| self.pay_all(connection, batch, moment).await)
                .await;
            match made {
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
        Ok((outcomes, made_before))
    }

    async fn pay_all(
        &self,
        connection: &mut PgConnection,
        batch: &Batch<'_>,
        moment: Moment,
    ) -> Result<Made, Error> {
        let correlation = correlation::current();
        let outcomes = match &self.mode {
            Mode::Immediate => store::transfer_batch(connection, batch, correlation.as_str(), moment).await?,
            Mode::Deferred(deferred) => {
                deferred
                    .debit_batch(connection, batch, correlation.as_str(), moment)
                    .await?
            }
        };
        let before = outcomes.value.iter().zip(batch.orders);
        let (clients, ids): (Vec<ClientId>, Vec<PaymentId>) = before
            .filter_map(|(outcome, order)| Some((order.payer(), outcome.made_before()?)))
            .unzip();
        let made_before = match ids.is_empty() {
            true => Vec::new(),
            false => payments::load_all(connection, &clients, &ids).await?,
        };
        let by_id = made_before.into_iter().map(|payment| (payment.id, payment));
        Ok((outcomes, by_id.collect()))
    }
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
