//! The entries of a wallet. They are numbered without gaps and never change, so that whatever is read of them up to a
//! number that has been given out adds up, while new ones are written.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId};
use domain::wallets::payment::PaymentType;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;
use crate::client::store::Wallet;
use crate::currency_number::CurrencyNumber;

/// An entry: a payment's effect on the wallet, or the return of a failed withdrawal.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) is_return: bool,
    pub(super) payment_id: PaymentId,
    pub(super) transaction_id: TransactionId,
    pub(super) payment_type: PaymentType,
    /// None for the house.
    pub(super) partner_client_id: Option<ClientId>,
    pub(super) partner_currency: CurrencyNumber,
    pub(super) partner_amount: i64,
    pub(super) exchange_rate: Decimal,
    pub(super) amount: i64,
    pub(super) balance_after: i64,
}

/// The number of the wallet's first entry at this time or later; the one after the newest if there is none.
///
/// A binary search, some twenty steps for a million entries.
pub(super) async fn first_since(
    connection: &mut PgConnection,
    wallet: &Wallet,
    time: DateTime<Utc>,
) -> Result<i64, Error> {
    let number = sqlx::query_scalar!(
        r#"WITH RECURSIVE search (low, high) AS (
               SELECT 1::BIGINT, $3::BIGINT + 1
               UNION ALL
               SELECT CASE WHEN middle.at < $4 THEN middle.entry + 1 ELSE low END,
                      CASE WHEN middle.at < $4 THEN high ELSE middle.entry END
                 FROM search
                CROSS JOIN LATERAL (
                      SELECT (low + high) / 2 AS entry, COALESCE(
                          (SELECT created_at FROM payments
                            WHERE client_id = $1 AND wallet_id = $2 AND entry = (low + high) / 2),
                          (SELECT updated_at FROM payments
                            WHERE client_id = $1 AND wallet_id = $2 AND return_entry = (low + high) / 2)) AS at) AS middle
                WHERE low < high
           )
           SELECT low AS "low!" FROM search WHERE low = high LIMIT 1"#,
        wallet.client_id as _,
        wallet.id as _,
        wallet.entries,
        time,
    )
    .fetch_one(connection)
    .await?;
    Ok(number)
}

/// What was in the wallet after the entry of this number, in minor units; nothing before the first.
pub(super) async fn balance_after(
    connection: &mut PgConnection,
    wallet: &Wallet,
    number: i64,
) -> Result<i64, Error> {
    if number < 1 {
        return Ok(0);
    }
    let balance = sqlx::query_scalar!(
        r#"SELECT COALESCE(
               (SELECT balance_after FROM payments WHERE client_id = $1 AND wallet_id = $2 AND entry = $3),
               (SELECT return_balance_after FROM payments WHERE client_id = $1 AND wallet_id = $2 AND return_entry = $3))
           AS "balance!""#,
        wallet.client_id as _,
        wallet.id as _,
        number,
    );
    Ok(balance.fetch_one(connection).await?)
}

/// The wallet's entries from the number `first` to before `end`, at most so many, in their order.
pub(super) async fn entries(
    connection: &mut PgConnection,
    wallet: &Wallet,
    first: i64,
    end: i64,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let entries = sqlx::query_as!(
        Entry,
        r#"SELECT number AS "number!", at AS "at!", is_return AS "is_return!", id AS "payment_id!: _",
                  transaction_id AS "transaction_id!: _", payment_type AS "payment_type!: _",
                  NULLIF(partner_client_id, 0) AS "partner_client_id: _", partner_currency AS "partner_currency!: _",
                  partner_amount AS "partner_amount!", exchange_rate AS "exchange_rate!", amount AS "amount!",
                  balance AS "balance_after!"
             FROM ((SELECT entry AS number, created_at AS at, FALSE AS is_return, id, transaction_id, payment_type,
                           partner_client_id, partner_currency, partner_amount, exchange_rate, amount,
                           balance_after AS balance
                      FROM payments
                     WHERE client_id = $1 AND wallet_id = $2 AND entry >= $3 AND entry < $4
                     ORDER BY entry LIMIT $5)
                   UNION ALL
                   (SELECT return_entry, updated_at, TRUE, id, transaction_id, payment_type,
                           partner_client_id, partner_currency, -partner_amount, exchange_rate, -amount,
                           return_balance_after
                      FROM payments
                     WHERE client_id = $1 AND wallet_id = $2 AND return_entry >= $3 AND return_entry < $4
                     ORDER BY return_entry LIMIT $5)) AS entries
            ORDER BY number LIMIT $5"#,
        wallet.client_id as _,
        wallet.id as _,
        first,
        end,
        limit,
    );
    Ok(entries.fetch_all(connection).await?)
}
