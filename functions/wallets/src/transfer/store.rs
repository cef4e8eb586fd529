//! Transfers: the functions of the database that make them, each in one round trip: at once, or the payer's half alone.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::conversion::ConversionRefusal;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use domain::wallets::rates::RateMaxAge;
use platform::error::PlatformError;
use platform::idempotency::Replayable;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TransferRequest;
use crate::Error;
use crate::currency_number::CurrencyNumber;
use crate::payment::store::{self as payments, Payment};
use crate::payment_request::{BatchKey, PaymentRequest};
use crate::placement::Slot;

/// The outcome of a transfer that its receiver hasn't got yet.
const PENDING: &str = "pending";
/// The outcome of one that was made before.
const REPLAYED: &str = "replayed";
/// The outcome where the receiver's wallets have to be read anew.
const LOOK_AGAIN: &str = "look-again";

/// A checked transfer, with the id that it gets when it is made.
#[derive(Debug)]
pub(super) struct Order {
    /// The request that it is, under its own key; in a batch without one, under a key that was derived from the batch's before
    /// keys of batches were kept.
    request: PaymentRequest,
    has_own_key: bool,
    transfer: TransferRequest,
    transaction_id: TransactionId,
}

/// When, and by which rates, transfers are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: DateTime<Utc>,
    /// How old a rate may be that converts.
    pub(super) max_age: RateMaxAge,
}

impl Moment {
    fn oldest_rate(self) -> DateTime<Utc> {
        self.max_age.oldest(self.now)
    }
}

impl Order {
    pub(super) fn new(request: PaymentRequest, has_own_key: bool, transfer: TransferRequest) -> Self {
        Self {
            request,
            has_own_key,
            transfer,
            transaction_id: TransactionId::from_uuid(Uuid::now_v7()),
        }
    }

    pub(super) fn payer(&self) -> ClientId {
        self.request.client_id
    }

    pub(super) fn receiver(&self) -> ClientId {
        self.transfer.receiver_client_id
    }

    fn own_name(&self) -> Option<Uuid> {
        self.has_own_key.then(|| self.request.name().id)
    }

    fn receiver_currency(&self) -> Option<i16> {
        self.transfer.receiver_currency.map(|currency| currency.numeric())
    }
}

/// What the database made of an order: the payer's payment, or the code of a refusal.
#[derive(Debug)]
pub(super) struct Outcome {
    outcome: String,
    /// What whoever may not know of the receiver is told instead.
    presumed: Option<String>,
    payment_id: Option<PaymentId>,
    transaction_id: Option<TransactionId>,
    currency: Option<CurrencyNumber>,
    amount: Option<i64>,
    partner_wallet_id: Option<WalletId>,
    partner_currency: Option<CurrencyNumber>,
    partner_amount: Option<i64>,
    exchange_rate: Option<Decimal>,
    balance: Option<i64>,
    created_at: Option<DateTime<Utc>>,
    rate_as_of: Option<DateTime<Utc>>,
}

/// Makes one transfer, with its events and its idempotency record.
pub(super) async fn transfer(
    connection: &mut PgConnection,
    order: &Order,
    correlation: &str,
    moment: Moment,
) -> Result<Outcome, Error> {
    let name = order.request.name();
    sqlx::query_as!(
        Outcome,
        r#"SELECT outcome AS "outcome!", presumed, payment_id AS "payment_id: _", transaction_id AS "transaction_id: _",
                  currency AS "currency: _", amount, partner_wallet_id AS "partner_wallet_id: _",
                  partner_currency AS "partner_currency: _", partner_amount, exchange_rate, balance, created_at, rate_as_of
             FROM transfer_between_wallets($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"#,
        order.request.client_id as _,
        order.transfer.wallet_id as _,
        order.transfer.receiver_client_id as _,
        order.receiver_currency(),
        order.transfer.amount,
        order.transfer.receiver_amount,
        name.id,
        order.request.digest(),
        name.lock,
        order.request.key,
        order.transaction_id as _,
        correlation,
        moment.now,
        moment.oldest_rate(),
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}

/// A receiver's wallets, each with its currency.
#[derive(Debug, Clone, Default)]
pub(super) struct Receiver {
    pub(super) wallets: Vec<WalletId>,
    pub(super) currencies: Vec<i16>,
    /// The slot of its node.
    pub(super) slot: i16,
    pub(super) look: Look,
}

/// When a receiver's wallets were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Look {
    /// For this transfer.
    Now,
    /// Before: there may be more by now.
    #[default]
    Before,
    /// Before, if ever: its node is out of reach.
    OutOfReach,
}

impl Look {
    /// As the database's functions take it.
    const fn is_of_now(self) -> Option<bool> {
        match self {
            Self::Now => Some(true),
            Self::Before => Some(false),
            Self::OutOfReach => None,
        }
    }
}

/// Takes the payer's money for one transfer, with its idempotency record, and leaves an order for the receiver, who lives at a
/// slot. What is known of the receiver is none where that is the payer's own: the database finds its wallets. The outcome may be
/// that the receiver has to be looked at again.
pub(super) async fn debit(
    connection: &mut PgConnection,
    order: &Order,
    receiver_slot: Slot,
    receiver: Option<&Receiver>,
    correlation: &str,
    moment: Moment,
) -> Result<Outcome, Error> {
    let name = order.request.name();
    sqlx::query_as!(
        Outcome,
        r#"SELECT outcome AS "outcome!", presumed, payment_id AS "payment_id: _", transaction_id AS "transaction_id: _",
                  currency AS "currency: _", amount, partner_wallet_id AS "partner_wallet_id: _",
                  partner_currency AS "partner_currency: _", partner_amount, exchange_rate, balance, created_at, rate_as_of
             FROM debit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"#,
        order.request.client_id as _,
        order.transfer.wallet_id as _,
        order.transfer.receiver_client_id as _,
        order.receiver_currency(),
        order.transfer.amount,
        order.transfer.receiver_amount,
        receiver.map(|receiver| receiver.wallets.as_slice()) as _,
        receiver.map(|receiver| receiver.currencies.as_slice()) as _,
        receiver.is_some_and(|receiver| receiver.look == Look::Now),
        receiver_slot.number(),
        name.id,
        order.request.digest(),
        name.lock,
        order.request.key,
        order.transaction_id as _,
        correlation,
        moment.now,
        moment.oldest_rate(),
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}

/// Of what came of orders, the payments that were made before, as they are now.
pub(super) async fn made_before<'a>(
    connection: &mut PgConnection,
    made: impl IntoIterator<Item = (&'a Outcome, &'a Order)>,
) -> Result<Vec<Payment>, Error> {
    let before = made.into_iter();
    let (clients, ids): (Vec<ClientId>, Vec<PaymentId>) = before
        .filter_map(|(outcome, order)| Some((order.payer(), outcome.made_before()?)))
        .unzip();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    payments::load_all(connection, &clients, &ids).await
}

/// A batch under its key.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) key: BatchKey,
    pub(super) orders: &'a [&'a Order],
    /// All of them, or each that can be made.
    pub(super) all_or_none: bool,
}

struct BatchRow {
    whole: String,
    outcome: Option<String>,
    payment_id: Option<PaymentId>,
    transaction_id: Option<TransactionId>,
    currency: Option<CurrencyNumber>,
    amount: Option<i64>,
    partner_wallet_id: Option<WalletId>,
    partner_currency: Option<CurrencyNumber>,
    partner_amount: Option<i64>,
    exchange_rate: Option<Decimal>,
    balance: Option<i64>,
    created_at: Option<DateTime<Utc>>,
    rate_as_of: Option<DateTime<Utc>>,
}

/// Makes many transfers in their order, with their events and the batch's idempotency record.
///
/// # Errors
/// When the batch's key is in flight or was used for another batch.
pub(super) async fn transfer_batch(
    connection: &mut PgConnection,
    batch: &Batch<'_>,
    correlation: &str,
    moment: Moment,
) -> Result<Replayable<Vec<Outcome>>, Error> {
    let orders = batch.orders;
    let rows = sqlx::query_as!(
        BatchRow,
        r#"SELECT whole AS "whole!", outcome, payment_id AS "payment_id: _", transaction_id AS "transaction_id: _",
                  currency AS "currency: _", amount, partner_wallet_id AS "partner_wallet_id: _",
                  partner_currency AS "partner_currency: _", partner_amount, exchange_rate, balance, created_at, rate_as_of
             FROM transfer_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"#,
        column(orders, |order| order.request.client_id) as _,
        column(orders, |order| order.transfer.wallet_id) as _,
        column(orders, |order| order.transfer.receiver_client_id) as _,
        column(orders, Order::receiver_currency) as _,
        column(orders, |order| order.transfer.amount) as _,
        column(orders, |order| order.transfer.receiver_amount) as _,
        column(orders, Order::own_name) as _,
        &column(orders, |order| order.request.digest()),
        &column(orders, |order| order.request.key.clone()),
        column(orders, |order| order.transaction_id) as _,
        batch.key.name.id,
        batch.key.digest,
        batch.key.name.lock,
        correlation,
        batch.all_or_none,
        moment.now,
        moment.oldest_rate(),
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    outcomes_of(rows, orders.len())
}

/// As [`transfer_batch`], but takes the payers' money alone, and leaves orders for the receivers, of which there is one for each
/// transfer; `None` when they have to be looked at again. Where each transfer counts by itself, one whose receiver can't be looked
/// at is refused alone.
pub(super) async fn debit_batch(
    connection: &mut PgConnection,
    batch: &Batch<'_>,
    receivers: &[Receiver],
    correlation: &str,
    moment: Moment,
) -> Result<Option<Replayable<Vec<Outcome>>>, Error> {
    let orders = batch.orders;
    let (firsts, lasts) = places(receivers);
    let rows = sqlx::query_as!(
        BatchRow,
        r#"SELECT whole AS "whole!", outcome, payment_id AS "payment_id: _", transaction_id AS "transaction_id: _",
                  currency AS "currency: _", amount, partner_wallet_id AS "partner_wallet_id: _",
                  partner_currency AS "partner_currency: _", partner_amount, exchange_rate, balance, created_at, rate_as_of
             FROM debit_transfers($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                                  $22, $23)"#,
        column(orders, |order| order.request.client_id) as _,
        column(orders, |order| order.transfer.wallet_id) as _,
        column(orders, |order| order.transfer.receiver_client_id) as _,
        column(orders, Order::receiver_currency) as _,
        column(orders, |order| order.transfer.amount) as _,
        column(orders, |order| order.transfer.receiver_amount) as _,
        receivers
            .iter()
            .flat_map(|receiver| receiver.wallets.iter().copied())
            .collect::<Vec<_>>() as _,
        &receivers
            .iter()
            .flat_map(|receiver| receiver.currencies.iter().copied())
            .collect::<Vec<_>>(),
        &firsts,
        &lasts,
        receivers
            .iter()
            .map(|receiver| receiver.look.is_of_now())
            .collect::<Vec<_>>() as _,
        &receivers.iter().map(|receiver| receiver.slot).collect::<Vec<_>>(),
        column(orders, Order::own_name) as _,
        &column(orders, |order| order.request.digest()),
        &column(orders, |order| order.request.key.clone()),
        column(orders, |order| order.transaction_id) as _,
        batch.key.name.id,
        batch.key.digest,
        batch.key.name.lock,
        correlation,
        batch.all_or_none,
        moment.now,
        moment.oldest_rate(),
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    if rows.first().is_some_and(|row| row.whole == LOOK_AGAIN) {
        return Ok(None);
    }
    outcomes_of(rows, orders.len()).map(Some)
}

/// From where to where each receiver's wallets stand when all are put behind each other, counted from 1.
fn places(receivers: &[Receiver]) -> (Vec<i32>, Vec<i32>) {
    let mut last = 0_i32;
    let place = |receiver: &Receiver| {
        let first = last.saturating_add(1);
        last = last.saturating_add(i32::try_from(receiver.wallets.len()).unwrap_or(i32::MAX));
        (first, last)
    };
    receivers.iter().map(place).unzip()
}

fn outcomes_of(rows: Vec<BatchRow>, size: usize) -> Result<Replayable<Vec<Outcome>>, Error> {
    let replayed = match rows.first().map(|row| row.whole.as_str()) {
        Some("request-in-flight") => return Err(PlatformError::InFlight.into()),
        Some("idempotency-key-reused") => return Err(PlatformError::KeyReused.into()),
        whole => whole == Some("replayed"),
    };
    // Of a batch without orders there is a row all the same, which says whether it is replayed.
    let rows = rows.into_iter().take(size);
    let outcomes: Option<Vec<Outcome>> = rows.map(BatchRow::into_outcome).collect();
    let value = outcomes
        .filter(|outcomes| outcomes.len() == size)
        .ok_or(PlatformError::Stored("transfer_batch"))?;
    Ok(Replayable { value, replayed })
}

impl BatchRow {
    fn into_outcome(self) -> Option<Outcome> {
        Some(Outcome {
            outcome: self.outcome?,
            presumed: None,
            payment_id: self.payment_id,
            transaction_id: self.transaction_id,
            currency: self.currency,
            amount: self.amount,
            partner_wallet_id: self.partner_wallet_id,
            partner_currency: self.partner_currency,
            partner_amount: self.partner_amount,
            exchange_rate: self.exchange_rate,
            balance: self.balance,
            created_at: self.created_at,
            rate_as_of: self.rate_as_of,
        })
    }
}

fn column<T>(orders: &[&Order], value: impl Fn(&Order) -> T) -> Vec<T> {
    orders.iter().map(|order| value(order)).collect()
}

/// The balance is read before the wallet is locked: one that went down meanwhile undoes everything, as does a key under
/// which another transfer of the client's was made meanwhile. A receiver's balance beyond what a balance can be doesn't fit.
fn failed(error: sqlx::Error) -> Error {
    let database = error.as_database_error();
    let is_of_wallets = || {
        let table = database.and_then(|error| error.table());
        table.is_some_and(|table| table.starts_with("wallets"))
    };
    match database.and_then(|error| error.code()).as_deref() {
        Some("23514") if is_of_wallets() => Error::Contended,
        Some("23505") => Error::Contended,
        Some("22003") => Error::BalanceTooLarge,
        _ => error.into(),
    }
}

impl Outcome {
    /// The payer's payment of this order: a new one, or the one that the same request made before, as it is now.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn into_payment(
        self,
        order: &Order,
        made_before: Option<Payment>,
        moment: Moment,
    ) -> Result<Replayable<Payment>, Error> {
        if let Some(refusal) = self.refusal(moment)? {
            return Err(refusal);
        }
        let replayed = self.outcome == REPLAYED;
        let value = if replayed {
            made_before
        } else {
            self.payment(order)
        };
        Ok(Replayable {
            value: value.ok_or(PlatformError::Stored("transfer"))?,
            replayed,
        })
    }

    /// The payment that the same request made before.
    pub(super) fn made_before(&self) -> Option<PaymentId> {
        self.payment_id.filter(|_| self.outcome == REPLAYED)
    }

    /// Whether what is known of the receiver isn't enough.
    pub(super) fn looks_again(&self) -> bool {
        self.outcome == LOOK_AGAIN
    }

    fn payment(self, order: &Order) -> Option<Payment> {
        Some(Payment {
            client_id: order.request.client_id,
            id: self.payment_id?,
            transaction_id: self.transaction_id?,
            payment_type: PaymentType::Transfer,
            payment_status: match self.outcome.as_str() {
                PENDING => PaymentStatus::Pending,
                _ => PaymentStatus::Done,
            },
            wallet_id: order.transfer.wallet_id,
            currency: self.currency?,
            amount: self.amount?,
            partner_client_id: Some(order.transfer.receiver_client_id),
            partner_wallet_id: Some(self.partner_wallet_id?),
            partner_currency: self.partner_currency?,
            partner_amount: self.partner_amount?,
            exchange_rate: self.exchange_rate?,
            balance_after: self.balance?,
            created_at: self.created_at?,
            updated_at: self.created_at?,
        })
    }

    /// This outcome as it is told to whoever may not know of the receiver.
    pub(super) fn presumed(mut self) -> Self {
        if let Some(presumed) = self.presumed.take_if(|_| self.payment_id.is_none()) {
            self.outcome = presumed;
        }
        self
    }

    /// Why nothing was done; `None` where there is a payment, or where another order of the same batch was refused.
    pub(super) fn refusal(&self, moment: Moment) -> Result<Option<Error>, Error> {
        Ok(Some(match self.outcome.as_str() {
            "done" | PENDING | REPLAYED | "not-done" => return Ok(None),
            "request-in-flight" => PlatformError::InFlight.into(),
            "idempotency-key-reused" => PlatformError::KeyReused.into(),
            "wallet-not-found" => Error::WalletNotFound,
            "receiver-not-found" => Error::ReceiverNotFound,
            "receiver-wallet-not-found" => Error::ReceiverWalletNotFound,
            "receiver-currency-needed" => Error::ReceiverCurrencyNeeded,
            "receiver-out-of-reach" => Error::ReceiverOutOfReach,
            "same-wallet" => Error::SameWallet,
            "no-exchange-rate" => Error::NoExchangeRate,
            "amount-converts-to-nothing" => Error::Conversion(ConversionRefusal::ConvertsToNothing),
            "exchange-rate-too-old" => self.rate_too_old(moment)?,
            "amount-too-large" => Error::Conversion(ConversionRefusal::TooLarge),
            "insufficient-funds" => {
                let balance = self.balance.zip(self.currency);
                let (balance, currency) = balance.ok_or(PlatformError::Stored("transfer"))?;
                Error::InsufficientFunds {
                    balance: Money::new(balance, currency.0),
                }
            }
            _ => return Err(PlatformError::Stored("transfer outcome").into()),
        }))
    }

    fn rate_too_old(&self, moment: Moment) -> Result<Error, Error> {
        let pair = self.currency.zip(self.partner_currency);
        let ((base, quote), as_of) = pair
            .zip(self.rate_as_of)
            .ok_or(PlatformError::Stored("transfer"))?;
        Ok(Error::RateTooOld {
            base: base.0,
            quote: quote.0,
            as_of,
            max_age_days: moment.max_age.days(),
        })
    }
}
