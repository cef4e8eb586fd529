//! Orders of transfers: as they wait, and the database's functions that apply them (migration 0060).

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;
use crate::placement::Slot;

/// The first half of the advisory locks that deliveries hold, one for each node whose clients are credited.
const DELIVERY_LOCK: i32 = 0x7472_6f72;

/// A transfer that waits for its receiver: the payer's payment.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) payer: ClientId,
    pub(super) payment_id: PaymentId,
    payer_wallet: WalletId,
    payer_currency: i16,
    paid: i64,
    receiver: ClientId,
    receiver_wallet: WalletId,
    receiver_currency: i16,
    received: i64,
    exchange_rate: Decimal,
    transaction_id: TransactionId,
    correlation_id: Option<String>,
}

/// A place among the orders, in the order of their payments; none is before the first.
pub(super) type Place = Option<PaymentId>;

/// Takes the turn to deliver to a node, for this session; `false` when another run has it. It is nobody's who pays.
pub(super) async fn lock(connection: &mut PgConnection, to: Slot) -> Result<bool, Error> {
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock($1, $2::SMALLINT::INT) AS "locked!""#,
        DELIVERY_LOCK,
        to.number(),
    );
    Ok(locked.fetch_one(connection).await?)
}

/// Gives the turn back.
pub(super) async fn unlock(connection: &mut PgConnection, to: Slot) -> Result<(), Error> {
    sqlx::query!(
        "SELECT pg_advisory_unlock($1, $2::SMALLINT::INT)",
        DELIVERY_LOCK,
        to.number()
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Whether there is an order for receivers of a node that may be applied now.
pub(super) async fn is_anything_due(
    connection: &mut PgConnection,
    to: Slot,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let due = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM transfer_orders AS waiting
                            JOIN payments AS payment ON payment.client_id = waiting.client_id AND payment.id = waiting.payment_id
                           WHERE waiting.receiver_slot = $1 AND (waiting.retry_at IS NULL OR waiting.retry_at <= $2)) AS "due!""#,
        to.number(),
        now,
    );
    Ok(due.fetch_one(connection).await?)
}

/// The slots of the receivers that orders wait for, each once: from each one to the next in the order of the index.
pub(super) async fn slots_waiting(connection: &mut PgConnection) -> Result<Vec<i16>, Error> {
    let slots = sqlx::query_scalar!(
        r#"WITH RECURSIVE waiting (slot) AS (
               SELECT min(receiver_slot) FROM transfer_orders
               UNION ALL
               SELECT (SELECT min(receiver_slot) FROM transfer_orders WHERE receiver_slot > waiting.slot)
                 FROM waiting WHERE waiting.slot IS NOT NULL
           )
           SELECT slot AS "slot!" FROM waiting WHERE slot IS NOT NULL"#,
    );
    Ok(slots.fetch_all(connection).await?)
}

/// How many orders are older than a time, looking at the oldest ones for each slot alone, at most so many of it.
pub(super) async fn older_than(
    connection: &mut PgConnection,
    time: DateTime<Utc>,
    most_of_slot: i64,
) -> Result<i64, Error> {
    let older = sqlx::query_scalar!(
        r#"WITH RECURSIVE waiting (slot) AS (
               SELECT min(receiver_slot) FROM transfer_orders
               UNION ALL
               SELECT (SELECT min(receiver_slot) FROM transfer_orders WHERE receiver_slot > waiting.slot)
                 FROM waiting WHERE waiting.slot IS NOT NULL
           )
           SELECT count(*) AS "older!"
             FROM waiting
            CROSS JOIN LATERAL (SELECT created_at FROM transfer_orders WHERE receiver_slot = waiting.slot
                                 ORDER BY payment_id LIMIT $2) AS oldest
            WHERE oldest.created_at < $1"#,
        time,
        most_of_slot,
    );
    Ok(older.fetch_one(connection).await?)
}

/// The next orders for receivers of a node, behind a place.
pub(super) async fn waiting(
    connection: &mut PgConnection,
    to: Slot,
    place: Place,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Order>, Error> {
    let orders = sqlx::query_as!(
        Order,
        r#"SELECT payment.client_id AS "payer: _", payment.id AS "payment_id: _", payment.wallet_id AS "payer_wallet: _",
                  payment.currency AS payer_currency, -payment.amount AS "paid!",
                  payment.partner_client_id AS "receiver: _", payment.partner_wallet_id AS "receiver_wallet: _",
                  payment.partner_currency AS receiver_currency, payment.partner_amount AS received,
                  payment.exchange_rate, payment.transaction_id AS "transaction_id: _", payment.correlation_id
             FROM transfer_orders AS waiting
             JOIN payments AS payment ON payment.client_id = waiting.client_id AND payment.id = waiting.payment_id
            WHERE waiting.receiver_slot = $1 AND waiting.payment_id > $2
              AND (waiting.retry_at IS NULL OR waiting.retry_at <= $3)
            ORDER BY waiting.payment_id LIMIT $4"#,
        to.number(),
        place.map_or(0, i64::from),
        now,
        i64::try_from(limit).unwrap_or(i64::MAX),
    );
    Ok(orders.fetch_all(connection).await?)
}

/// Brings the money to the receivers, each once; gives why not where one refuses, in the orders' order.
pub(super) async fn credit(
    connection: &mut PgConnection,
    orders: &[Order],
    now: DateTime<Utc>,
) -> Result<Vec<Option<String>>, Error> {
    let refusals = sqlx::query_scalar!(
        "SELECT refusal FROM credit_transfers($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ORDER BY place",
        column(orders, |order| order.receiver) as _,
        column(orders, |order| order.receiver_wallet) as _,
        &column(orders, |order| order.receiver_currency),
        &column(orders, |order| order.received),
        column(orders, |order| order.payer) as _,
        column(orders, |order| order.payer_wallet) as _,
        &column(orders, |order| order.payer_currency),
        column(orders, |order| order.payment_id) as _,
        &column(orders, |order| order.paid),
        &column(orders, |order| order.exchange_rate),
        column(orders, |order| order.transaction_id) as _,
        column(orders, |order| order.correlation_id.clone()) as _,
        now,
    );
    Ok(refusals.fetch_all(connection).await?)
}

/// Ends the transfers at their payers as their receivers have answered, each once; gives how many hadn't been.
pub(super) async fn settle(
    connection: &mut PgConnection,
    orders: &[Order],
    refusals: &[Option<String>],
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let settled = sqlx::query_scalar!(
        r#"SELECT settled AS "settled!" FROM settle_transfers($1, $2, $3, $4, $5, $6, $7)"#,
        column(orders, |order| order.payer) as _,
        column(orders, |order| order.payer_wallet) as _,
        column(orders, |order| order.payment_id) as _,
        column(orders, |order| order.transaction_id) as _,
        &column(orders, |order| order.paid),
        refusals as _,
        now,
    );
    Ok(settled.fetch_one(connection).await?)
}

/// Lets an order wait.
pub(super) async fn set_retry(
    connection: &mut PgConnection,
    payer: ClientId,
    payment_id: PaymentId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE transfer_orders SET retry_at = $3 WHERE client_id = $1 AND payment_id = $2",
        payer as _,
        payment_id as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn column<T>(orders: &[Order], value: impl Fn(&Order) -> T) -> Vec<T> {
    orders.iter().map(value).collect()
}
