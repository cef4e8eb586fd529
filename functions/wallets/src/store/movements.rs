//! Money that comes in from the house and goes out to it: one payment of one wallet, which is locked.

use domain::ids::TransactionId;
use domain::money::Money;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use sqlx::PgConnection;

use super::clients::Wallet;
use super::payments::{Payment, PaymentRow};
use crate::Error;

/// Sets the balance of a locked wallet and counts the entry that it comes from.
pub(crate) async fn set_balance(
    connection: &mut PgConnection,
    wallet: &Wallet,
    balance: Money,
    entry: i64,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE wallets SET balance = $3, entries = $4 WHERE client_id = $1 AND id = $2",
        wallet.client.get(),
        wallet.id.get(),
        balance.minor(),
        entry,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the payment between the house and a locked wallet.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    wallet: &Wallet,
    transaction: TransactionId,
    kind: PaymentType,
    status: PaymentStatus,
    amount: Money,
    balance_after: Money,
) -> Result<Payment, Error> {
    let row = sqlx::query_as!(
        PaymentRow,
        "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
         created_at, updated_at) \
         SELECT $1, nextval('payment_ids'), $2, $3, $4, $5, $6, $7, 0, 0, $6, $8, 1, $9, $10, now, now \
         FROM clock_timestamp() AS now \
         RETURNING client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, balance_after, \
         created_at, updated_at",
        wallet.client.get(),
        transaction.as_uuid(),
        kind.number(),
        status.number(),
        wallet.id.get(),
        amount.currency().numeric(),
        amount.minor(),
        amount.checked_neg()?.minor(),
        wallet.entries + 1,
        balance_after.minor(),
    )
    .fetch_one(connection)
    .await?;
    Ok(row.try_into()?)
}

/// Settles a locked withdrawal as done.
pub(crate) async fn set_done(connection: &mut PgConnection, withdrawal: &Payment) -> Result<Payment, Error> {
    let row = sqlx::query_as!(
        PaymentRow,
        "UPDATE payments SET payment_status = 2, updated_at = clock_timestamp() WHERE client_id = $1 AND id = $2 \
         RETURNING client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, balance_after, \
         created_at, updated_at",
        withdrawal.client.get(),
        withdrawal.id.get(),
    )
    .fetch_one(connection)
    .await?;
    Ok(row.try_into()?)
}

/// Settles a locked withdrawal as failed; its return is an entry of its own.
pub(crate) async fn set_failed(
    connection: &mut PgConnection,
    withdrawal: &Payment,
    return_entry: i64,
    balance_after: Money,
) -> Result<Payment, Error> {
    let row = sqlx::query_as!(
        PaymentRow,
        "UPDATE payments SET payment_status = 3, return_entry = $3, return_balance_after = $4, \
         updated_at = clock_timestamp() WHERE client_id = $1 AND id = $2 \
         RETURNING client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, balance_after, \
         created_at, updated_at",
        withdrawal.client.get(),
        withdrawal.id.get(),
        return_entry,
        balance_after.minor(),
    )
    .fetch_one(connection)
    .await?;
    Ok(row.try_into()?)
}
