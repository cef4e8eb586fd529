//! The entries of a wallet. They are numbered without gaps and never change, so that whatever is read of them up to a
//! number that has been given out adds up, while new ones are written.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId};
use domain::money::Money;
use domain::wallets::payment::PaymentType;
use platform::error::PlatformError;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::clients::Wallet;
use super::{currency, id};
use crate::Error;

/// An entry: a payment's effect on the wallet, or the return of a failed withdrawal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) number: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) is_return: bool,
    pub(crate) payment: PaymentId,
    pub(crate) transaction: TransactionId,
    pub(crate) kind: PaymentType,
    /// None for the house.
    pub(crate) partner: Option<ClientId>,
    pub(crate) partner_amount: Money,
    pub(crate) exchange_rate: Decimal,
    pub(crate) amount: Money,
    pub(crate) balance_after: Money,
}

/// The number of the wallet's first entry at this time or later; the one after the newest if there is none.
///
/// A search by halves, some twenty looks for a million entries.
pub(crate) async fn first_since(
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
        wallet.client.get(),
        wallet.id.get(),
        wallet.entries,
        time,
    )
    .fetch_one(connection)
    .await?;
    Ok(number)
}

/// What was in the wallet after the entry of this number; nothing before the first.
pub(crate) async fn balance_after(
    connection: &mut PgConnection,
    wallet: &Wallet,
    number: i64,
) -> Result<Money, Error> {
    let currency = wallet.balance.currency();
    if number < 1 {
        return Ok(Money::zero(currency));
    }
    let balance = sqlx::query_scalar!(
        r#"SELECT COALESCE(
               (SELECT balance_after FROM payments WHERE client_id = $1 AND wallet_id = $2 AND entry = $3),
               (SELECT return_balance_after FROM payments WHERE client_id = $1 AND wallet_id = $2 AND return_entry = $3))
           AS "balance!""#,
        wallet.client.get(),
        wallet.id.get(),
        number,
    )
    .fetch_one(connection)
    .await?;
    Ok(Money::new(balance, currency))
}

/// The wallet's entries from the number `first` to before `end`, at most so many, in their order.
pub(crate) async fn entries(
    connection: &mut PgConnection,
    wallet: &Wallet,
    first: i64,
    end: i64,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query!(
        r#"SELECT number AS "number!", at AS "at!", is_return AS "is_return!", id AS "id!",
                  transaction_id AS "transaction_id!", payment_type AS "payment_type!",
                  partner_client_id AS "partner_client_id!", partner_currency AS "partner_currency!",
                  partner_amount AS "partner_amount!", exchange_rate AS "exchange_rate!", amount AS "amount!",
                  balance AS "balance!"
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
        wallet.client.get(),
        wallet.id.get(),
        first,
        end,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let own = wallet.balance.currency();
    rows.into_iter()
        .map(|row| {
            let partner = match row.partner_client_id {
                0 => None,
                client => Some(id(client)?),
            };
            Ok(Entry {
                number: row.number,
                at: row.at,
                is_return: row.is_return,
                payment: id(row.id)?,
                transaction: row.transaction_id.into(),
                kind: PaymentType::from_number(row.payment_type)
                    .ok_or(PlatformError::Stored("payment_type"))?,
                partner,
                partner_amount: Money::new(row.partner_amount, currency(row.partner_currency)?),
                exchange_rate: row.exchange_rate.normalize(),
                amount: Money::new(row.amount, own),
                balance_after: Money::new(row.balance, own),
            })
        })
        .collect()
}
