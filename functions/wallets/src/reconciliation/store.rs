//! What is compared: each wallet with its payments, and each side of a transfer with the other. Entries come in groups, so
//! that time and memory of a statement have a limit, however many a wallet or a client has. The entries of a wallet are read
//! `LATERAL … ORDER BY … LIMIT`, so by the index: where few clients have most of the payments, the planner takes the few new
//! ones of a wallet for a ninth of all, and reads the whole table otherwise.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, WalletId};
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::currency_number::CurrencyNumber;

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

/// Of which wallets a group may be, and how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Those opened before.
    pub(super) begun: DateTime<Utc>,
    /// Those compared from their first entry on before this are so again.
    pub(super) anew_before: DateTime<Utc>,
    pub(super) wallets: i64,
    pub(super) entries: i64,
}

/// A place among the wallets, in the order of clients and their wallets; none is before the first.
pub(super) type Place = Option<(ClientId, WalletId)>;

/// Entries of a wallet to compare: those behind `after`, up to `to` at most.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) client_id: ClientId,
    pub(super) wallet_id: WalletId,
    pub(super) after: i64,
    pub(super) to: i64,
    /// Whether the wallet has more.
    pub(super) is_cut: bool,
    /// Behind which the other sides of transfers are compared: before `after` where a transfer was pending then.
    pub(super) sides_after: i64,
    /// Up to which they are: before `to` where those that are behind are more than a group may have.
    pub(super) sides_to: i64,
}

/// Where the last run stopped.
pub(super) async fn cursor(connection: &mut PgConnection) -> Result<Place, Error> {
    let cursor = sqlx::query!(
        r#"SELECT after_client AS "client: ClientId", after_wallet AS "wallet: WalletId" FROM reconciliation_cursor"#
    );
    let cursor = cursor.fetch_optional(connection).await?;
    Ok(cursor.map(|cursor| (cursor.client, cursor.wallet)))
}

/// Keeps where this run is.
pub(super) async fn set_cursor(connection: &mut PgConnection, place: Place) -> Result<(), Error> {
    sqlx::query!(
        "WITH ended AS (DELETE FROM reconciliation_cursor WHERE $1::BIGINT IS NULL)
         INSERT INTO reconciliation_cursor (after_client, after_wallet) SELECT $1, $2 WHERE $1 IS NOT NULL
             ON CONFLICT (only_one) DO UPDATE SET after_client = EXCLUDED.after_client, after_wallet = EXCLUDED.after_wallet",
        place.map(|(client, _)| client) as _,
        place.map(|(_, wallet)| wallet) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The next wallets behind a place with what there is to compare of them, at most so many entries; at least one wallet.
pub(super) async fn next_spans(
    connection: &mut PgConnection,
    place: Place,
    bounds: Bounds,
) -> Result<Vec<Span>, Error> {
    let spans = sqlx::query_as!(
        Span,
        r#"WITH next AS (
               SELECT wallet.client_id, wallet.id, wallet.entries,
                      CASE WHEN checkpoint.begun_at >= $4 AND NOT EXISTS (
                                SELECT FROM wallet_differences AS difference
                                 WHERE difference.client_id = wallet.client_id AND difference.wallet_id = wallet.id
                                   AND difference.resolved_at > checkpoint.checked_at)
                           THEN checkpoint.entry ELSE 0 END AS after,
                      COALESCE(checkpoint.sides_entry, checkpoint.entry) AS sides_entry
                 FROM wallets AS wallet
                 LEFT JOIN wallet_checkpoints AS checkpoint
                   ON checkpoint.client_id = wallet.client_id AND checkpoint.wallet_id = wallet.id
                WHERE (wallet.client_id, wallet.id) > ($1, $2) AND wallet.created_at < $3
                ORDER BY wallet.client_id, wallet.id LIMIT $5
           ), placed AS (
               SELECT client_id, id, entries, after, LEAST(after, sides_entry) AS sides_after FROM next
           ), summed AS (
               SELECT *, (sum(entries - sides_after) OVER (ORDER BY client_id, id) - (entries - sides_after))::BIGINT AS before
                 FROM placed
           )
           SELECT client_id AS "client_id!: _", id AS "wallet_id!: _", after AS "after!",
                  LEAST(entries, after + $6 - before) AS "to!", entries > after + $6 - before AS "is_cut!",
                  sides_after AS "sides_after!", LEAST(entries, sides_after + $6 - before) AS "sides_to!"
             FROM summed WHERE before < $6 OR before = 0 ORDER BY client_id, id"#,
        place.map_or(0, |(client, _)| client.get()),
        place.map_or(0, |(_, wallet)| wallet.get()),
        bounds.begun,
        bounds.anew_before,
        bounds.wallets,
        bounds.entries,
    );
    Ok(spans.fetch_all(connection).await?)
}

/// Of how many clients there are wallets that this run hasn't reached: behind a place, up to another one.
pub(super) async fn clients_left(
    connection: &mut PgConnection,
    place: Place,
    end: Place,
    begun: DateTime<Utc>,
) -> Result<i64, Error> {
    let left = sqlx::query_scalar!(
        r#"SELECT count(DISTINCT client_id) AS "left!" FROM wallets
            WHERE created_at < $5 AND CASE WHEN ($1::BIGINT, $2::BIGINT) < ($3::BIGINT, $4::BIGINT)
                      THEN (client_id, id) > ($1, $2) AND (client_id, id) <= ($3, $4)
                      ELSE (client_id, id) > ($1, $2) OR (client_id, id) <= ($3, $4) END"#,
        place.map_or(0, |(client, _)| client.get()),
        place.map_or(0, |(_, wallet)| wallet.get()),
        end.map_or(0, |(client, _)| client.get()),
        end.map_or(0, |(_, wallet)| wallet.get()),
        begun,
    );
    Ok(left.fetch_one(connection).await?)
}

/// What a wallet's entries come to.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) client_id: ClientId,
    pub(super) wallet_id: WalletId,
    /// Up to which entry.
    pub(super) reached: i64,
    /// The sum of all of them.
    pub(super) total: String,
    /// The balance, where that is another.
    pub(super) wrong_balance: Option<i64>,
    /// The payment of the newest entry.
    pub(super) newest: Option<PaymentId>,
}

/// Adds up the entries of the spans. A wallet whose entries are all summed has its balance compared with them.
pub(super) async fn sums(connection: &mut PgConnection, spans: &[Span]) -> Result<Vec<Sum>, Error> {
    let sums = sqlx::query_as!(
        Sum,
        r#"SELECT span.client_id AS "client_id!: _", span.wallet_id AS "wallet_id!: _", span.reached AS "reached!",
                  total.amount::TEXT AS "total!",
                  CASE WHEN wallet.entries <= span.reached AND wallet.balance <> total.amount THEN wallet.balance END AS wrong_balance,
                  (SELECT id FROM payments WHERE client_id = span.client_id AND wallet_id = span.wallet_id
                      AND (entry = span.reached OR return_entry = span.reached) LIMIT 1) AS "newest: _"
             FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[]) AS span (client_id, wallet_id, after, reached)
             JOIN wallets AS wallet ON wallet.client_id = span.client_id AND wallet.id = span.wallet_id
             LEFT JOIN wallet_checkpoints AS checkpoint
               ON checkpoint.client_id = span.client_id AND checkpoint.wallet_id = span.wallet_id
            CROSS JOIN LATERAL (
                  SELECT CASE WHEN span.after = 0 THEN 0 ELSE COALESCE(checkpoint.total, 0) END
                         + COALESCE((SELECT sum(amount) FROM payments WHERE client_id = span.client_id
                                        AND wallet_id = span.wallet_id AND entry > span.after AND entry <= span.reached), 0)
                         - COALESCE((SELECT sum(amount) FROM payments WHERE client_id = span.client_id
                                        AND wallet_id = span.wallet_id AND return_entry > span.after
                                        AND return_entry <= span.reached), 0) AS amount
                  ) AS total
            WHERE span.client_id = ANY ($1)"#,
        column(spans, |span| span.client_id) as _,
        column(spans, |span| span.wallet_id) as _,
        &column(spans, |span| span.after),
        &column(spans, |span| span.to),
    );
    Ok(sums.fetch_all(connection).await?)
}

/// Entries that don't follow from the one before: a gap in the numbers, or a balance that isn't the one before plus the
/// amount.
pub(super) async fn broken_entries(
    connection: &mut PgConnection,
    spans: &[Span],
) -> Result<Vec<Difference>, Error> {
    let found = sqlx::query_as!(
        Difference,
        r#"WITH span AS (
               SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[])
                          AS span (client_id, wallet_id, after, last)
           ), entry AS (
               -- The one before the first is there to be followed from.
               SELECT span.client_id, span.wallet_id, span.after, own.entry AS number, own.id, own.amount, own.balance_after AS balance
                 FROM span CROSS JOIN LATERAL (
                      SELECT * FROM payments WHERE client_id = span.client_id AND wallet_id = span.wallet_id
                         AND entry >= span.after AND entry <= span.last
                       ORDER BY entry LIMIT span.last - span.after + 1) AS own
                WHERE span.client_id = ANY ($1)
                UNION ALL
               SELECT span.client_id, span.wallet_id, span.after, own.return_entry, own.id, -own.amount, own.return_balance_after
                 FROM span CROSS JOIN LATERAL (
                      SELECT * FROM payments WHERE client_id = span.client_id AND wallet_id = span.wallet_id
                         AND return_entry >= span.after AND return_entry <= span.last
                       ORDER BY return_entry LIMIT span.last - span.after + 1) AS own
                WHERE span.client_id = ANY ($1)
           ), chained AS (
               SELECT *, lag(number, 1, after) OVER wallet AS number_before,
                      lag(balance) OVER wallet AS balance_before
                 FROM entry WINDOW wallet AS (PARTITION BY client_id, wallet_id ORDER BY number)
           )
           SELECT client_id AS "client_id!: _", wallet_id AS "wallet_id!: _", id AS "payment_id: _",
                  CASE WHEN number <> number_before + 1 THEN 'missing-entry' ELSE 'balance-after' END AS "kind!",
                  CASE WHEN number <> number_before + 1 THEN 'entry ' || number_before + 1
                       ELSE (COALESCE(balance_before, 0)::NUMERIC + amount)::TEXT END AS "expected!",
                  CASE WHEN number <> number_before + 1 THEN 'entry ' || number ELSE balance::TEXT END AS "found!"
             FROM chained
            WHERE number > after
              AND (number <> number_before + 1
                   OR balance::NUMERIC <> COALESCE(balance_before, 0)::NUMERIC + amount AND (balance_before IS NOT NULL OR after = 0))"#,
        column(spans, |span| span.client_id) as _,
        column(spans, |span| span.wallet_id) as _,
        &column(spans, |span| span.after),
        &column(spans, |span| span.to),
    )
    .fetch_all(connection)
    .await?;
    Ok(found)
}

/// The first entry of each span's wallet that is of a transfer on its way, with its place among the spans.
#[derive(Debug)]
pub(super) struct FirstPending {
    pub(super) place: i64,
    pub(super) entry: i64,
}

/// Finds the transfers on their way, before their other sides are looked at: whatever is settled in between is compared.
pub(super) async fn first_pending(
    connection: &mut PgConnection,
    spans: &[Span],
) -> Result<Vec<FirstPending>, Error> {
    let pending = sqlx::query_as!(
        FirstPending,
        r#"SELECT span.place AS "place!", first.entry AS "entry!"
             FROM unnest($1::BIGINT[], $2::BIGINT[]) WITH ORDINALITY AS span (client_id, wallet_id, place)
            CROSS JOIN LATERAL (
                  SELECT own.entry FROM transfer_orders AS waiting
                    JOIN payments AS own ON own.client_id = waiting.client_id AND own.id = waiting.payment_id
                   WHERE waiting.client_id = span.client_id AND waiting.client_id = ANY ($1) AND own.wallet_id = span.wallet_id
                   ORDER BY waiting.payment_id LIMIT 1) AS first"#,
        column(spans, |span| span.client_id) as _,
        column(spans, |span| span.wallet_id) as _,
    );
    Ok(pending.fetch_all(connection).await?)
}

/// Transfers whose other side is missing or doesn't mirror this one, amounts that don't follow from the rate, and orders that
/// don't belong to a pending transfer. A pending one has no other side to be compared with yet; one whose other side is in another
/// slot than `own_slot` is compared there.
pub(super) async fn wrong_sides(
    connection: &mut PgConnection,
    spans: &[Span],
    own_slot: Option<i16>,
) -> Result<Vec<Difference>, Error> {
    let found = sqlx::query_as!(
        Difference,
        r#"SELECT own.client_id AS "client_id!: _", own.wallet_id AS "wallet_id!: _", own.id AS "payment_id: _",
                  compared.kind AS "kind!", compared.expected AS "expected!", compared.found AS "found!"
             FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[]) AS span (client_id, wallet_id, after, last)
            CROSS JOIN LATERAL (
                  SELECT * FROM payments WHERE client_id = span.client_id AND wallet_id = span.wallet_id
                     AND entry > span.after AND entry <= span.last
                   ORDER BY entry LIMIT GREATEST(span.last - span.after, 0)) AS own
             JOIN currencies AS iso ON iso.numeric_code = own.currency
             JOIN currencies AS partner_iso ON partner_iso.numeric_code = own.partner_currency
             -- Of a transfer in halves, the receiver's answer names both payments. Else the payer's has an odd id, the receiver's
             -- the next one.
             LEFT JOIN transfer_answers AS answer ON answer.transaction_id = own.transaction_id
                   AND answer.client_id = CASE WHEN own.amount < 0 THEN own.partner_client_id ELSE own.client_id END
             LEFT JOIN payments AS other ON other.client_id = own.partner_client_id
                   AND other.id = CASE WHEN answer.client_id IS NULL THEN own.id + CASE WHEN own.amount < 0 THEN 1 ELSE -1 END
                                       WHEN own.amount < 0 THEN answer.payment_id ELSE answer.payer_payment_id END
             LEFT JOIN transfer_orders AS waiting ON own.amount < 0
                   AND waiting.client_id = own.client_id AND waiting.payment_id = own.id
            CROSS JOIN LATERAL (
                  SELECT CASE
                      WHEN own.amount < 0 AND own.payment_status = 1 AND waiting.payment_id IS NULL THEN 'order-missing'
                      WHEN own.payment_status <> 1 AND waiting.payment_id IS NOT NULL THEN 'order-left-over'
                      WHEN own.payment_status = 1 THEN NULL
                      WHEN own.partner_client_id >> 40 <> $5::SMALLINT THEN CASE WHEN own.amount < 0
                           AND NOT conversion_is_right(-own.amount, own.partner_amount, own.exchange_rate,
                               iso.exponent, partner_iso.exponent, own.correlation_id IS NULL) THEN 'conversion' END
                      WHEN own.payment_status = 3 THEN CASE WHEN answer.refusal IS NULL THEN 'sides-differ' END
                      WHEN other.transaction_id IS DISTINCT FROM own.transaction_id THEN 'one-sided'
                      WHEN (other.wallet_id, other.currency, other.amount, other.partner_client_id, other.partner_wallet_id,
                            other.partner_currency, other.partner_amount, other.exchange_rate)
                           IS DISTINCT FROM
                           (own.partner_wallet_id, own.partner_currency, own.partner_amount, own.client_id, own.wallet_id,
                            own.currency, own.amount, own.exchange_rate) THEN 'sides-differ'
                      WHEN other.payment_status = 3 THEN 'sides-differ'
                      WHEN own.amount < 0 AND NOT conversion_is_right(-own.amount, own.partner_amount, own.exchange_rate,
                               iso.exponent, partner_iso.exponent, own.correlation_id IS NULL) THEN 'conversion'
                      END AS kind,
                      format('%s of payment %s', -own.partner_amount, own.id) AS expected,
                      CASE WHEN other.id IS NULL THEN 'nothing'
                           ELSE format('%s at %s', other.amount, trim_scale(other.exchange_rate)) END AS found
                  ) AS compared
            WHERE own.client_id = ANY ($1) AND own.payment_type = 3 AND compared.kind IS NOT NULL"#,
        column(spans, |span| span.client_id) as _,
        column(spans, |span| span.wallet_id) as _,
        &column(spans, |span| span.sides_after),
        &column(spans, |span| span.sides_to),
        own_slot,
    )
    .fetch_all(connection)
    .await?;
    Ok(found)
}

/// What is left over by conversions, in minor units of the receivers' currency.
#[derive(Debug)]
pub(super) struct Residue {
    pub(super) currency: CurrencyNumber,
    /// Of this group.
    pub(super) whole_units: i64,
    /// Of all that were counted.
    pub(super) total: String,
}

/// Counts what conversions that weren't counted yet have left over; one whose money went back leaves nothing.
pub(super) async fn count_residues(
    connection: &mut PgConnection,
    spans: &[Span],
    at: DateTime<Utc>,
) -> Result<Vec<Residue>, Error> {
    let residues = sqlx::query_as!(
        Residue,
        r#"WITH span AS (
               SELECT span.client_id, span.wallet_id, GREATEST(span.after, checkpoint.residue_entry) AS after, span.last
                 FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[]) AS span (client_id, wallet_id, after, last)
                 LEFT JOIN wallet_checkpoints AS checkpoint
                   ON checkpoint.client_id = span.client_id AND checkpoint.wallet_id = span.wallet_id
           ), counted AS (
               SELECT own.partner_currency AS currency,
                      sum(own.sign * (-own.amount * own.exchange_rate * ('1e' || partner_iso.exponent - iso.exponent)::NUMERIC
                                      - own.partner_amount)) AS residue
                 FROM (SELECT 1 AS sign, paid.* FROM span CROSS JOIN LATERAL (
                              SELECT * FROM payments WHERE client_id = span.client_id AND wallet_id = span.wallet_id
                                 AND entry > span.after AND entry <= span.last
                               ORDER BY entry LIMIT GREATEST(span.last - span.after, 0)) AS paid
                        UNION ALL
                       SELECT -1, back.* FROM span CROSS JOIN LATERAL (
                              SELECT * FROM payments WHERE client_id = span.client_id AND wallet_id = span.wallet_id
                                 AND return_entry > span.after AND return_entry <= span.last
                               ORDER BY return_entry LIMIT GREATEST(span.last - span.after, 0)) AS back) AS own
                 JOIN currencies AS iso ON iso.numeric_code = own.currency
                 JOIN currencies AS partner_iso ON partner_iso.numeric_code = own.partner_currency
                WHERE own.client_id = ANY ($1) AND own.payment_type = 3 AND own.amount < 0 AND own.currency <> own.partner_currency
                GROUP BY own.partner_currency
           )
           INSERT INTO conversion_residues AS kept (currency, residue, updated_at) SELECT currency, residue, $5 FROM counted
               ON CONFLICT (currency) DO UPDATE SET residue = kept.residue + EXCLUDED.residue, updated_at = EXCLUDED.updated_at
           RETURNING currency AS "currency: _", trim_scale(residue)::TEXT AS "total!",
                     (SELECT LEAST(GREATEST(trunc(counted.residue), 0), 9223372036854775807)::BIGINT FROM counted
                       WHERE counted.currency = kept.currency)
                     AS "whole_units!""#,
        column(spans, |span| span.client_id) as _,
        column(spans, |span| span.wallet_id) as _,
        &column(spans, |span| span.after),
        &column(spans, |span| span.to),
        at,
    );
    Ok(residues.fetch_all(connection).await?)
}

/// Records how far the wallets were compared.
pub(super) async fn set_checkpoints(
    connection: &mut PgConnection,
    spans: &[Span],
    sums: &[Sum],
    pending: &[FirstPending],
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO wallet_checkpoints AS kept (client_id, wallet_id, entry, total, residue_entry, sides_entry, begun_at, checked_at)
         SELECT client_id, wallet_id, entry, total, entry, sides_entry, $5, $5
           FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[]::NUMERIC[], $8::BIGINT[])
                AS sum (client_id, wallet_id, entry, total, sides_entry)
             ON CONFLICT (client_id, wallet_id) DO UPDATE
            SET entry = EXCLUDED.entry, total = EXCLUDED.total, sides_entry = EXCLUDED.sides_entry,
                residue_entry = GREATEST(kept.residue_entry, EXCLUDED.entry), checked_at = EXCLUDED.checked_at,
                begun_at = CASE WHEN (kept.client_id, kept.wallet_id) IN
                                (SELECT client_id, wallet_id FROM unnest($6::BIGINT[], $7::BIGINT[]) AS anew (client_id, wallet_id))
                           THEN $5 ELSE kept.begun_at END",
        column(sums, |sum| sum.client_id) as _,
        column(sums, |sum| sum.wallet_id) as _,
        &column(sums, |sum| sum.reached),
        &column(sums, |sum| sum.total.clone()),
        at,
        anew(spans, |span| span.client_id) as _,
        anew(spans, |span| span.wallet_id) as _,
        &column(sums, |sum| {
            let of_wallet = |span: &&Span| (span.client_id, span.wallet_id) == (sum.client_id, sum.wallet_id);
            spans.iter().find(of_wallet).map_or(0, |span| sides_entry(span, spans, pending))
        }),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Up to which entry of a span's wallet the other sides were compared, and no transfer was on its way.
pub(super) fn sides_entry(of: &Span, spans: &[Span], pending: &[FirstPending]) -> i64 {
    let is_of_wallet = |first: &&FirstPending| {
        let place = usize::try_from(first.place)
            .ok()
            .and_then(|place| place.checked_sub(1));
        let span = place.and_then(|place| spans.get(place));
        span.is_some_and(|span| (span.client_id, span.wallet_id) == (of.client_id, of.wallet_id))
    };
    let first = pending
        .iter()
        .filter(is_of_wallet)
        .min_by_key(|first| first.entry);
    first.map_or(of.sides_to, |first| {
        of.sides_to.min(first.entry.saturating_sub(1))
    })
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

/// Of the wallets that are compared from their first entry on.
fn anew<T>(spans: &[Span], value: impl Fn(&Span) -> T) -> Vec<T> {
    spans.iter().filter(|span| span.after == 0).map(value).collect()
}

fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
