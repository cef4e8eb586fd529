//! Payments as they are stored and read.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::error::PlatformError;
use platform::pagination::PageRequest;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::request::{PaymentList, PaymentsQuery};
use crate::Error;
use crate::currency_number::CurrencyNumber;

/// Payments that a page reads at the most, so that a filter which few pass doesn't read a merchant's whole history.
const MAX_READ: i64 = 10_000;
/// A payment is made at most so long before the one with the id before it.
const OUT_OF_ORDER: TimeDelta = TimeDelta::hours(1);

/// A client's row of a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) client_id: ClientId,
    pub(crate) id: PaymentId,
    pub(crate) transaction_id: TransactionId,
    pub(crate) payment_type: PaymentType,
    pub(crate) payment_status: PaymentStatus,
    pub(crate) wallet_id: WalletId,
    pub(crate) currency: CurrencyNumber,
    /// Below zero when the client pays.
    pub(crate) amount: i64,
    /// None for the house.
    pub(crate) partner_client_id: Option<ClientId>,
    pub(crate) partner_wallet_id: Option<WalletId>,
    pub(crate) partner_currency: CurrencyNumber,
    pub(crate) partner_amount: i64,
    pub(crate) exchange_rate: Decimal,
    pub(crate) balance_after: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Payment {
    pub(crate) fn amount(&self) -> Money {
        Money::new(self.amount, self.currency.0)
    }
}

/// A query of [`Payment`]s: what stands before the columns, what stands behind them, and the values.
macro_rules! query_payments {
    ($before:tt, $behind:tt, $($value:expr),+ $(,)?) => {
        sqlx::query_as!(
            $crate::payment::store::Payment,
            $before
                + r#" client_id AS "client_id: _", id AS "id: _", transaction_id AS "transaction_id: _",
                payment_type AS "payment_type: _", payment_status AS "payment_status: _", wallet_id AS "wallet_id: _",
                currency AS "currency: _", amount, NULLIF(partner_client_id, 0) AS "partner_client_id: _",
                NULLIF(partner_wallet_id, 0) AS "partner_wallet_id: _", partner_currency AS "partner_currency: _",
                partner_amount, exchange_rate, balance_after, created_at, updated_at "#
                + $behind,
            $($value),+
        )
    };
}

pub(crate) use query_payments;

/// A payment of the client; `None` where it has no such one.
pub(crate) async fn find(
    connection: &mut PgConnection,
    client_id: ClientId,
    id: PaymentId,
) -> Result<Option<Payment>, Error> {
    let payment = query_payments!(
        "SELECT",
        "FROM payments WHERE client_id = $1 AND id = $2",
        client_id as _,
        id as _,
    );
    Ok(payment.fetch_optional(connection).await?)
}

/// A payment of the client that is there.
pub(crate) async fn load(
    connection: &mut PgConnection,
    client_id: ClientId,
    id: PaymentId,
) -> Result<Payment, Error> {
    let payment = find(connection, client_id, id).await?;
    payment.ok_or_else(|| PlatformError::Stored("payment of a request").into())
}

/// Payments of several clients, each with its id, in any order.
pub(crate) async fn load_all(
    connection: &mut PgConnection,
    clients: &[ClientId],
    ids: &[PaymentId],
) -> Result<Vec<Payment>, Error> {
    let payments = query_payments!(
        "SELECT",
        "FROM payments
          WHERE client_id = ANY ($1) AND (client_id, id) IN (SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[]))",
        clients as _,
        ids as _,
    );
    Ok(payments.fetch_all(connection).await?)
}

/// The client's payments of a page, newest first, with the one behind it, among the next [`MAX_READ`] payments.
pub(crate) async fn list(
    connection: &mut PgConnection,
    client_id: ClientId,
    query: &PaymentsQuery,
    page: &PageRequest<PaymentList>,
) -> Result<Vec<Payment>, Error> {
    let payments = query_payments!(
        "SELECT",
        "FROM (SELECT * FROM payments WHERE client_id = $1 AND id < $2 ORDER BY id DESC LIMIT $9) AS payment
          WHERE ($3::TIMESTAMPTZ IS NULL OR created_at >= $3)
            AND ($4::TIMESTAMPTZ IS NULL OR created_at < $4) AND ($5::SMALLINT IS NULL OR payment_type = $5)
            AND ($6::SMALLINT IS NULL OR payment_status = $6) AND ($7::BIGINT IS NULL OR wallet_id = $7)
          ORDER BY id DESC LIMIT $8",
        client_id as _,
        page.after.map_or(i64::MAX, i64::from),
        query.from,
        query.to,
        query.payment_type as _,
        query.status as _,
        query.wallet_id as _,
        page.rows(),
        MAX_READ,
    );
    Ok(payments.fetch_all(connection).await?)
}

/// The last of the payments that a page reads, if others of the period may stand behind it.
pub(crate) async fn last_read(
    connection: &mut PgConnection,
    client_id: ClientId,
    from: Option<DateTime<Utc>>,
    page: &PageRequest<PaymentList>,
) -> Result<Option<PaymentId>, Error> {
    let last = sqlx::query_scalar!(
        r#"SELECT id AS "id: PaymentId" FROM (
               SELECT id, created_at FROM payments WHERE client_id = $1 AND id < $2 ORDER BY id DESC OFFSET $3 LIMIT 1
           ) AS last
           WHERE $4::TIMESTAMPTZ IS NULL OR created_at >= $4"#,
        client_id as _,
        page.after.map_or(i64::MAX, i64::from),
        MAX_READ - 1,
        from.map(|from| from - OUT_OF_ORDER),
    );
    Ok(last.fetch_optional(connection).await?)
}
