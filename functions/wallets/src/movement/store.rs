//! Recharges and withdrawals as payments between the house and a wallet, which is locked: its balance and its payment are
//! written by one statement.
//!
//! The entries of a wallet are in the order of their times, by which a statement finds where a period begins. The clocks
//! of two instances differ a little, so an entry is never dated before the one before it.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, TransactionId};
use domain::money::Money;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::client::store::Wallet;
use crate::payment::store::{Payment, query_payments};

/// A payment to make between the house and a wallet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Movement {
    pub(super) payment_type: PaymentType,
    pub(super) payment_status: PaymentStatus,
    /// Below zero for money that leaves the wallet.
    pub(super) amount: Money,
    pub(super) balance_after: Money,
}

/// Writes the payment and the balance of a locked wallet.
pub(super) async fn insert(
    connection: &mut PgConnection,
    wallet: &Wallet,
    movement: Movement,
    now: DateTime<Utc>,
) -> Result<Payment, Error> {
    let payment = query_payments!(
        "WITH wallet AS (
             UPDATE wallets SET balance = $8, entries = $9, moved_at = GREATEST(moved_at, $10)
              WHERE client_id = $1 AND id = $2 RETURNING moved_at
         )
         INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
             partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after,
             created_at, updated_at)
         SELECT $1, nextval('payment_ids'), $3, $4, $5, $2, $6, $7::BIGINT, 0, 0, $6, -$7::BIGINT, 1, $9, $8,
                wallet.moved_at, wallet.moved_at
           FROM wallet
         RETURNING",
        "",
        wallet.client_id as _,
        wallet.id as _,
        Uuid::now_v7(),
        movement.payment_type as _,
        movement.payment_status as _,
        wallet.currency.0.numeric(),
        movement.amount.minor(),
        movement.balance_after.minor(),
        wallet.entries + 1,
        now,
    );
    Ok(payment.fetch_one(connection).await?)
}

/// A withdrawal of the client, locked until the transaction ends.
pub(super) async fn lock_withdrawal(
    connection: &mut PgConnection,
    client_id: ClientId,
    transaction_id: TransactionId,
) -> Result<Payment, Error> {
    query_payments!(
        "SELECT",
        "FROM payments WHERE client_id = $1 AND transaction_id = $2 AND payment_type = 2 FOR UPDATE",
        client_id as _,
        transaction_id as _,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::WithdrawalNotFound)
}

/// Settles a locked withdrawal as done.
pub(super) async fn set_done(
    connection: &mut PgConnection,
    withdrawal: &Payment,
    now: DateTime<Utc>,
) -> Result<Payment, Error> {
    let payment = query_payments!(
        "UPDATE payments SET payment_status = 2, updated_at = GREATEST($3, created_at)
          WHERE client_id = $1 AND id = $2 RETURNING",
        "",
        withdrawal.client_id as _,
        withdrawal.id as _,
        now,
    );
    Ok(payment.fetch_one(connection).await?)
}

/// Settles a locked withdrawal as failed and writes the balance of its locked wallet; the return is an entry of its own.
pub(super) async fn set_failed(
    connection: &mut PgConnection,
    withdrawal: &Payment,
    wallet: &Wallet,
    balance_after: Money,
    now: DateTime<Utc>,
) -> Result<Payment, Error> {
    let payment = query_payments!(
        "WITH wallet AS (
             UPDATE wallets SET balance = $4, entries = $5, moved_at = GREATEST(moved_at, $6)
              WHERE client_id = $1 AND id = $3 RETURNING moved_at
         )
         UPDATE payments SET payment_status = 3, return_entry = $5, return_balance_after = $4, updated_at = wallet.moved_at
           FROM wallet
          WHERE client_id = $1 AND payments.id = $2 RETURNING",
        "",
        withdrawal.client_id as _,
        withdrawal.id as _,
        wallet.id as _,
        balance_after.minor(),
        wallet.entries + 1,
        now,
    );
    Ok(payment.fetch_one(connection).await?)
}
