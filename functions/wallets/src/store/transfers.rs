//! Transfers: the two functions of the database that do them, each in one round trip.

use domain::currency::Currency;
use domain::ids::{ClientId, EventId, PaymentId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::conversion::{ConversionRefusal, FixedAmount};
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::error::PlatformError;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::payments::{Partner, Payment};
use super::{currency, id};
use crate::Error;
use crate::request::Request;

/// A transfer to make.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) request: Request,
    pub(crate) wallet: WalletId,
    pub(crate) receiver: ClientId,
    pub(crate) receiver_currency: Option<Currency>,
    pub(crate) amount: FixedAmount,
    pub(crate) transaction: TransactionId,
    pub(crate) event: EventId,
}

impl Order {
    fn payer_amount(&self) -> Option<i64> {
        match self.amount {
            FixedAmount::Payer(amount) => Some(amount),
            FixedAmount::Receiver(_) => None,
        }
    }

    fn receiver_amount(&self) -> Option<i64> {
        match self.amount {
            FixedAmount::Payer(_) => None,
            FixedAmount::Receiver(amount) => Some(amount),
        }
    }
}

/// What an order came to.
#[derive(Debug)]
pub(crate) enum Made {
    /// The payer's payment, new.
    New(Payment),
    /// The payer's payment, which the same order made before.
    Before(Payment),
    /// Nothing.
    Refused(Error),
    /// Nothing, because another order of the same batch was refused.
    NotDone,
}

struct OutcomeRow {
    outcome: String,
    payment_id: Option<i64>,
    transaction_id: Option<Uuid>,
    currency: Option<i16>,
    amount: Option<i64>,
    partner_wallet_id: Option<i64>,
    partner_currency: Option<i16>,
    partner_amount: Option<i64>,
    exchange_rate: Option<Decimal>,
    balance: Option<i64>,
    created_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Makes one transfer, with its event and its idempotency record.
pub(crate) async fn transfer(
    connection: &mut PgConnection,
    order: &Order,
    correlation: &str,
) -> Result<Made, Error> {
    let row = sqlx::query_as!(
        OutcomeRow,
        r#"SELECT outcome AS "outcome!", payment_id, transaction_id, currency, amount, partner_wallet_id, partner_currency,
           partner_amount, exchange_rate, balance, created_at
           FROM transfer_between_wallets($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
        order.request.client.get(),
        order.wallet.get(),
        order.receiver.get(),
        order.receiver_currency.map(|currency| currency.numeric()),
        order.payer_amount(),
        order.receiver_amount(),
        order.request.key,
        order.request.hash,
        order.request.lock_number(),
        order.transaction.as_uuid(),
        order.event.as_uuid(),
        correlation,
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    made(order, row)
}

/// Makes many transfers, in their order; `all_or_none` of them or each that can be made.
#[expect(
    clippy::as_conversions,
    reason = "sqlx is told so that the elements may be null; nothing is converted"
)]
pub(crate) async fn transfer_batch(
    connection: &mut PgConnection,
    orders: &[Order],
    correlation: &str,
    all_or_none: bool,
) -> Result<Vec<Made>, Error> {
    let column = |value: fn(&Order) -> i64| orders.iter().map(value).collect::<Vec<i64>>();
    let payers = column(|order| order.request.client.get());
    let wallets = column(|order| order.wallet.get());
    let receivers = column(|order| order.receiver.get());
    let currencies: Vec<Option<i16>> = orders
        .iter()
        .map(|order| order.receiver_currency.map(|currency| currency.numeric()))
        .collect();
    let payer_amounts: Vec<Option<i64>> = orders.iter().map(Order::payer_amount).collect();
    let receiver_amounts: Vec<Option<i64>> = orders.iter().map(Order::receiver_amount).collect();
    let keys: Vec<String> = orders.iter().map(|order| order.request.key.clone()).collect();
    let hashes: Vec<Vec<u8>> = orders.iter().map(|order| order.request.hash.clone()).collect();
    let transactions: Vec<Uuid> = orders.iter().map(|order| order.transaction.as_uuid()).collect();
    let events: Vec<Uuid> = orders.iter().map(|order| order.event.as_uuid()).collect();
    let rows = sqlx::query_as!(
        OutcomeRow,
        r#"SELECT outcome AS "outcome!", payment_id, transaction_id, currency, amount, partner_wallet_id, partner_currency,
           partner_amount, exchange_rate, balance, created_at
           FROM transfer_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
        &payers,
        &wallets,
        &receivers,
        &currencies as &[Option<i16>],
        &payer_amounts as &[Option<i64>],
        &receiver_amounts as &[Option<i64>],
        &keys,
        &hashes,
        &transactions,
        &events,
        correlation,
        all_or_none,
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    if rows.len() != orders.len() {
        return Err(PlatformError::Stored("transfer_batch").into());
    }
    orders
        .iter()
        .zip(rows)
        .map(|(order, row)| made(order, row))
        .collect()
}

fn made(order: &Order, row: OutcomeRow) -> Result<Made, Error> {
    Ok(match row.outcome.as_str() {
        "done" => Made::New(payment(order, &row)?),
        "replayed" => Made::Before(payment(order, &row)?),
        "not-done" => Made::NotDone,
        refusal => Made::Refused(refused(refusal, &row)?),
    })
}

fn payment(order: &Order, row: &OutcomeRow) -> Result<Payment, Error> {
    let filled = || PlatformError::Stored("transfer");
    let own = currency(row.currency.ok_or_else(filled)?)?;
    let partner_currency = currency(row.partner_currency.ok_or_else(filled)?)?;
    let created_at = row.created_at.ok_or_else(filled)?;
    Ok(Payment {
        client: order.request.client,
        id: id::<PaymentId>(row.payment_id.ok_or_else(filled)?)?,
        transaction: row.transaction_id.ok_or_else(filled)?.into(),
        kind: PaymentType::Transfer,
        status: PaymentStatus::Done,
        wallet: order.wallet,
        amount: Money::new(row.amount.ok_or_else(filled)?, own),
        partner: Partner {
            wallet: Some((order.receiver, id(row.partner_wallet_id.ok_or_else(filled)?)?)),
            amount: Money::new(row.partner_amount.ok_or_else(filled)?, partner_currency),
        },
        exchange_rate: row.exchange_rate.ok_or_else(filled)?.normalize(),
        balance_after: Money::new(row.balance.ok_or_else(filled)?, own),
        created_at,
        updated_at: created_at,
    })
}

fn refused(refusal: &str, row: &OutcomeRow) -> Result<Error, Error> {
    Ok(match refusal {
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
            let filled = || PlatformError::Stored("transfer");
            Error::InsufficientFunds {
                balance: Money::new(
                    row.balance.ok_or_else(filled)?,
                    currency(row.currency.ok_or_else(filled)?)?,
                ),
            }
        }
        _ => return Err(PlatformError::Stored("transfer outcome").into()),
    })
}

/// The balance was looked at before the wallet was locked: one that went down meanwhile breaks the wallet's constraint, a
/// receiver's that went up beyond what a balance can be doesn't fit.
fn failed(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("23514")
            if error
                .as_database_error()
                .and_then(|error| error.table())
                .is_some_and(|t| t.starts_with("wallets")) =>
        {
            Error::Contended
        }
        Some("22003") => Error::BalanceTooLarge,
        _ => error.into(),
    }
}
