//! What is compared: each wallet with its payments, and each side of a transfer with the other. Clients come in groups, so
//! that time and memory of a statement have a limit.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, WalletId};
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;

/// A difference that was found: a row of `wallet_differences`, and the payload of the event about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) client_id: ClientId,
    pub(crate) wallet_id: WalletId,
    pub(crate) payment_id: Option<PaymentId>,
    pub(crate) kind: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// The clients that were reconciled longest ago, or never, of those that this run hasn't reached.
pub(super) async fn next_clients(
    connection: &mut PgConnection,
    begun: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ClientId>, Error> {
    let clients = sqlx::query_scalar!(
        r#"SELECT client_id AS "client_id: ClientId" FROM clients
            WHERE created_at < $1 AND COALESCE(reconciled_at, '-infinity') < $1
            ORDER BY COALESCE(reconciled_at, '-infinity'), client_id LIMIT $2"#,
        begun,
        limit,
    );
    Ok(clients.fetch_all(connection).await?)
}

/// How many clients this run hasn't reached.
pub(super) async fn clients_left(connection: &mut PgConnection, begun: DateTime<Utc>) -> Result<i64, Error> {
    let left = sqlx::query_scalar!(
        r#"SELECT count(*) AS "left!" FROM clients
            WHERE created_at < $1 AND COALESCE(reconciled_at, '-infinity') < $1"#,
        begun,
    )
    .fetch_one(connection)
    .await?;
    Ok(left)
}

/// Records that the clients were compared.
pub(super) async fn set_reconciled(
    connection: &mut PgConnection,
    clients: &[ClientId],
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE clients SET reconciled_at = $2 WHERE client_id = ANY ($1)",
        clients as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Entries that don't follow from the one before: a gap in the numbers, or a balance that isn't the one before plus the
/// amount.
pub(super) async fn broken_entries(
    connection: &mut PgConnection,
    clients: &[ClientId],
) -> Result<Vec<Difference>, Error> {
    let found = sqlx::query_as!(
        Difference,
        r#"WITH entry AS (
               SELECT client_id, wallet_id, entry AS number, id, amount, balance_after AS balance
                 FROM payments WHERE client_id = ANY ($1)
                UNION ALL
               SELECT client_id, wallet_id, return_entry, id, -amount, return_balance_after
                 FROM payments WHERE client_id = ANY ($1) AND return_entry IS NOT NULL
           ), chained AS (
               SELECT *, lag(number, 1, 0::BIGINT) OVER wallet AS number_before,
                      lag(balance, 1, 0::BIGINT) OVER wallet AS balance_before
                 FROM entry WINDOW wallet AS (PARTITION BY client_id, wallet_id ORDER BY number)
           )
           SELECT client_id AS "client_id!: _", wallet_id AS "wallet_id!: _", id AS "payment_id: _",
                  CASE WHEN number <> number_before + 1 THEN 'missing-entry' ELSE 'balance-after' END AS "kind!",
                  CASE WHEN number <> number_before + 1 THEN 'entry ' || number_before + 1
                       ELSE (balance_before::NUMERIC + amount)::TEXT END AS "expected!",
                  CASE WHEN number <> number_before + 1 THEN 'entry ' || number ELSE balance::TEXT END AS "found!"
             FROM chained
            WHERE number <> number_before + 1 OR balance::NUMERIC <> balance_before::NUMERIC + amount"#,
        clients as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(found)
}

/// Wallets whose balance isn't the sum of their payments that count (those that are pending or done), with the payment of
/// the newest entry.
pub(super) async fn wrong_balances(
    connection: &mut PgConnection,
    clients: &[ClientId],
) -> Result<Vec<Difference>, Error> {
    let found = sqlx::query_as!(
        Difference,
        r#"SELECT wallet.client_id AS "client_id!: _", wallet.id AS "wallet_id!: _", booked.newest AS "payment_id: _",
                  'balance' AS "kind!", booked.balance::TEXT AS "expected!", wallet.balance::TEXT AS "found!"
             FROM wallets AS wallet
            CROSS JOIN LATERAL (
                  SELECT COALESCE(sum(amount) FILTER (WHERE payment_status <> 3), 0) AS balance,
                         (array_agg(id ORDER BY GREATEST(entry, return_entry) DESC))[1] AS newest
                    FROM payments
                   WHERE client_id = wallet.client_id AND wallet_id = wallet.id) AS booked
            WHERE wallet.client_id = ANY ($1) AND wallet.balance <> booked.balance"#,
        clients as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(found)
}

/// Transfers whose other side is missing or doesn't mirror this one, and amounts that don't follow from the rate.
pub(super) async fn wrong_sides(
    connection: &mut PgConnection,
    clients: &[ClientId],
) -> Result<Vec<Difference>, Error> {
    let found = sqlx::query_as!(
        Difference,
        r#"SELECT own.client_id AS "client_id!: _", own.wallet_id AS "wallet_id!: _", own.id AS "payment_id: _",
                  compared.kind AS "kind!", compared.expected AS "expected!", compared.found AS "found!"
             FROM payments AS own
             JOIN currencies AS iso ON iso.numeric_code = own.currency
             JOIN currencies AS partner_iso ON partner_iso.numeric_code = own.partner_currency
             -- The payer's payment has an odd id, the receiver's the next one.
             LEFT JOIN payments AS other ON other.client_id = own.partner_client_id
                   AND other.id = own.id + CASE WHEN own.amount < 0 THEN 1 ELSE -1 END
            CROSS JOIN LATERAL (
                  SELECT CASE
                      WHEN other.transaction_id IS DISTINCT FROM own.transaction_id THEN 'one-sided'
                      WHEN (other.wallet_id, other.currency, other.amount, other.partner_client_id, other.partner_wallet_id,
                            other.partner_currency, other.partner_amount, other.exchange_rate)
                           IS DISTINCT FROM
                           (own.partner_wallet_id, own.partner_currency, own.partner_amount, own.client_id, own.wallet_id,
                            own.currency, own.amount, own.exchange_rate) THEN 'sides-differ'
                      WHEN own.amount < 0 AND own.partner_amount <> divide_half_even(
                           -own.amount * own.exchange_rate * ('1e' || 12 + partner_iso.exponent)::NUMERIC,
                           ('1e' || 12 + iso.exponent)::NUMERIC) THEN 'conversion'
                      END AS kind,
                      format('%s of payment %s', -own.partner_amount, own.id) AS expected,
                      CASE WHEN other.id IS NULL THEN 'nothing'
                           ELSE format('%s at %s', other.amount, trim_scale(other.exchange_rate)) END AS found
                  ) AS compared
            WHERE own.client_id = ANY ($1) AND own.payment_type = 3 AND compared.kind IS NOT NULL"#,
        clients as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(found)
}

/// Writes differences, and gives those that weren't known.
pub(super) async fn insert_new(
    connection: &mut PgConnection,
    differences: &[Difference],
    at: DateTime<Utc>,
) -> Result<Vec<Difference>, Error> {
    let new = sqlx::query_as!(
        Difference,
        r#"INSERT INTO wallet_differences (client_id, wallet_id, payment_id, kind, expected, found, found_at)
           SELECT one.*, $7 FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[])
                  AS one (client_id, wallet_id, payment_id, kind, expected, found)
            WHERE NOT EXISTS (
                  SELECT FROM wallet_differences AS known
                   WHERE known.client_id = one.client_id AND known.client_id = ANY ($1) AND known.wallet_id = one.wallet_id
                     AND known.payment_id IS NOT DISTINCT FROM one.payment_id AND known.kind = one.kind
                     AND known.resolved_at IS NULL)
           RETURNING client_id AS "client_id: _", wallet_id AS "wallet_id: _", payment_id AS "payment_id: _", kind,
                     expected, found"#,
        column(differences, |one| one.client_id) as _,
        column(differences, |one| one.wallet_id) as _,
        column(differences, |one| one.payment_id) as _,
        &column(differences, |one| one.kind.clone()),
        &column(differences, |one| one.expected.clone()),
        &column(differences, |one| one.found.clone()),
        at,
    );
    Ok(new.fetch_all(connection).await?)
}

fn column<T>(differences: &[Difference], value: impl Fn(&Difference) -> T) -> Vec<T> {
    differences.iter().map(value).collect()
}
