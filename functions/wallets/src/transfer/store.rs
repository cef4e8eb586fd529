//! Transfers: the two functions of the database that make them, each in one round trip.

use chrono::{DateTime, Utc};
use domain::ids::{EventId, PaymentId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::conversion::ConversionRefusal;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::error::PlatformError;
use platform::idempotency::Replayable;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TransferRequest;
use crate::Error;
use crate::currency_number::CurrencyNumber;
use crate::payment::store::Payment;
use crate::payment_request::PaymentRequest;

/// A checked transfer under its key, with the ids that it gets when it is made.
#[derive(Debug)]
pub(super) struct Order {
    request: PaymentRequest,
    transfer: TransferRequest,
    transaction_id: TransactionId,
    event_id: EventId,
}

impl Order {
    pub(super) fn new(request: PaymentRequest, transfer: TransferRequest) -> Self {
        Self {
            request,
            transfer,
            transaction_id: TransactionId::from_uuid(Uuid::now_v7()),
            event_id: EventId::from_uuid(Uuid::now_v7()),
        }
    }

    fn receiver_currency(&self) -> Option<i16> {
        self.transfer.receiver_currency.map(|currency| currency.numeric())
    }
}

/// What the database made of an order: the payer's payment, or the code of a refusal.
#[derive(Debug)]
pub(super) struct Outcome {
    outcome: String,
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
}

/// Makes one transfer, with its event and its idempotency record.
pub(super) async fn transfer(
    connection: &mut PgConnection,
    order: &Order,
    correlation: &str,
) -> Result<Outcome, Error> {
    sqlx::query_as!(
        Outcome,
        r#"SELECT outcome AS "outcome!", payment_id AS "payment_id: _", transaction_id AS "transaction_id: _",
                  currency AS "currency: _", amount, partner_wallet_id AS "partner_wallet_id: _",
                  partner_currency AS "partner_currency: _", partner_amount, exchange_rate, balance, created_at
             FROM transfer_between_wallets($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
        order.request.client_id as _,
        order.transfer.wallet_id as _,
        order.transfer.receiver_client_id as _,
        order.receiver_currency(),
        order.transfer.amount,
        order.transfer.receiver_amount,
        order.request.key,
        order.request.hash,
        order.request.lock_number(),
        order.transaction_id as _,
        order.event_id as _,
        correlation,
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}

/// Makes many transfers, in their order; `all_or_none` of them or each that can be made.
pub(super) async fn transfer_batch(
    connection: &mut PgConnection,
    orders: &[&Order],
    correlation: &str,
    all_or_none: bool,
) -> Result<Vec<Outcome>, Error> {
    let outcomes = sqlx::query_as!(
        Outcome,
        r#"SELECT outcome AS "outcome!", payment_id AS "payment_id: _", transaction_id AS "transaction_id: _",
                  currency AS "currency: _", amount, partner_wallet_id AS "partner_wallet_id: _",
                  partner_currency AS "partner_currency: _", partner_amount, exchange_rate, balance, created_at
             FROM transfer_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
        column(orders, |order| order.request.client_id) as _,
        column(orders, |order| order.transfer.wallet_id) as _,
        column(orders, |order| order.transfer.receiver_client_id) as _,
        column(orders, Order::receiver_currency) as _,
        column(orders, |order| order.transfer.amount) as _,
        column(orders, |order| order.transfer.receiver_amount) as _,
        &column(orders, |order| order.request.key.clone()),
        &column(orders, |order| order.request.hash.clone()),
        column(orders, |order| order.transaction_id) as _,
        column(orders, |order| order.event_id) as _,
        correlation,
        all_or_none,
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    if outcomes.len() == orders.len() {
        Ok(outcomes)
    } else {
        Err(PlatformError::Stored("transfer_batch").into())
    }
}

fn column<T>(orders: &[&Order], value: impl Fn(&Order) -> T) -> Vec<T> {
    orders.iter().map(|order| value(order)).collect()
}

/// The balance is read before the wallet is locked: one that went down meanwhile breaks the wallet's constraint, a
/// receiver's that went up beyond what a balance can be doesn't fit.
fn failed(error: sqlx::Error) -> Error {
    let database = error.as_database_error();
    let is_of_wallets = || {
        let table = database.and_then(|error| error.table());
        table.is_some_and(|table| table.starts_with("wallets"))
    };
    match database.and_then(|error| error.code()).as_deref() {
        Some("23514") if is_of_wallets() => Error::Contended,
        Some("22003") => Error::BalanceTooLarge,
        _ => error.into(),
    }
}

impl Outcome {
    /// The payer's payment of this order, new or made before by the same request.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn into_payment(self, order: &Order) -> Result<Replayable<Payment>, Error> {
        if let Some(refusal) = self.refusal()? {
            return Err(refusal);
        }
        let replayed = self.outcome == "replayed";
        let value = self.payment(order).ok_or(PlatformError::Stored("transfer"))?;
        Ok(Replayable { value, replayed })
    }

    fn payment(self, order: &Order) -> Option<Payment> {
        Some(Payment {
            client_id: order.request.client_id,
            id: self.payment_id?,
            transaction_id: self.transaction_id?,
            payment_type: PaymentType::Transfer,
            payment_status: PaymentStatus::Done,
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

    /// Why nothing was done; `None` where there is a payment, or where another order of the same batch was refused.
    pub(super) fn refusal(&self) -> Result<Option<Error>, Error> {
        Ok(Some(match self.outcome.as_str() {
            "done" | "replayed" | "not-done" => return Ok(None),
            "request-in-flight" => PlatformError::InFlight.into(),
            "idempotency-key-reused" => PlatformError::KeyReused.into(),
            "wallet-not-found" => Error::WalletNotFound,
            "receiver-not-found" => Error::ReceiverNotFound,
            "receiver-wallet-not-found" => Error::ReceiverWalletNotFound,
            "receiver-currency-needed" => Error::ReceiverCurrencyNeeded,
            "same-wallet" => Error::SameWallet,
            "no-exchange-rate" => Error::NoExchangeRate,
            "amount-converts-to-nothing" => Error::Conversion(ConversionRefusal::ConvertsToNothing),
            "amount-not-payable" => Error::Conversion(ConversionRefusal::NotPayable),
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
}
