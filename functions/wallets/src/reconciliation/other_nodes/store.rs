//! Sides of transfers: those of one node, and at another node what differs there.

use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;
use crate::reconciliation::store::{Difference, Span};

/// A side of a transfer that isn't on its way.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) client_id: ClientId,
    pub(super) wallet_id: WalletId,
    payment_id: PaymentId,
    pub(super) entry: i64,
    transaction_id: TransactionId,
    /// The payer's, whose money is back.
    is_returned: bool,
    currency: i16,
    amount: i64,
    pub(super) partner_client_id: ClientId,
    partner_wallet_id: WalletId,
    partner_currency: i16,
    partner_amount: i64,
    exchange_rate: Decimal,
    /// Of a receiver's: the payer's payment that it answers.
    payer_payment_id: Option<PaymentId>,
}

/// The sides of the spans whose other ones are in another slot.
pub(super) async fn with_other_elsewhere(
    connection: &mut PgConnection,
    spans: &[Span],
    own_slot: i16,
) -> Result<Vec<Side>, Error> {
    let sides = sqlx::query_as!(
        Side,
        r#"SELECT own.client_id AS "client_id!: _", own.wallet_id AS "wallet_id!: _", own.id AS "payment_id!: _",
                  own.entry AS "entry!", own.transaction_id AS "transaction_id!: _", own.payment_status = 3 AS "is_returned!",
                  own.currency AS "currency!", own.amount AS "amount!", own.partner_client_id AS "partner_client_id!: _",
                  own.partner_wallet_id AS "partner_wallet_id!: _", own.partner_currency AS "partner_currency!",
                  own.partner_amount AS "partner_amount!", own.exchange_rate AS "exchange_rate!",
                  answer.payer_payment_id AS "payer_payment_id?: _"
             FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[]) AS span (client_id, wallet_id, after, last)
             JOIN payments AS own ON own.client_id = span.client_id AND own.wallet_id = span.wallet_id
                  AND own.entry > span.after AND own.entry <= span.last
             LEFT JOIN transfer_answers AS answer ON own.amount > 0 AND answer.client_id = own.client_id
                   AND answer.transaction_id = own.transaction_id AND answer.payment_id = own.id
            WHERE own.client_id = ANY ($1) AND own.payment_type = 3 AND own.payment_status <> 1
              AND own.partner_client_id >> 40 <> $5::SMALLINT"#,
        column(spans, |span| span.client_id) as _,
        column(spans, |span| span.wallet_id) as _,
        &column(spans, |span| span.sides_after),
        &column(spans, |span| span.sides_to),
        own_slot,
    );
    Ok(sides.fetch_all(connection).await?)
}

/// What differs at the other sides of these, each where it lives.
pub(super) async fn differences(
    connection: &mut PgConnection,
    sides: &[Side],
) -> Result<Vec<Difference>, Error> {
    let found = sqlx::query_as!(
        Difference,
        r#"SELECT own.client_id AS "client_id!: _", own.wallet_id AS "wallet_id!: _", own.id AS "payment_id: _",
                  compared.kind AS "kind!", compared.expected AS "expected!", compared.found AS "found!"
             FROM unnest($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::UUID[], $6::BOOLEAN[], $7::SMALLINT[], $8::BIGINT[],
                         $1::BIGINT[], $9::BIGINT[], $10::SMALLINT[], $11::BIGINT[], $12::NUMERIC[], $13::BIGINT[])
                  AS own (client_id, wallet_id, id, transaction_id, is_returned, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, payer_payment_id)
             LEFT JOIN transfer_answers AS answer ON own.amount < 0 AND answer.client_id = ANY ($1)
                   AND answer.client_id = own.partner_client_id AND answer.transaction_id = own.transaction_id
             LEFT JOIN payments AS other ON other.client_id = ANY ($1) AND other.client_id = own.partner_client_id
                   AND other.id = CASE WHEN own.amount < 0 THEN answer.payment_id ELSE own.payer_payment_id END
            CROSS JOIN LATERAL (
                  SELECT CASE
                      WHEN own.is_returned THEN CASE WHEN answer.refusal IS NULL THEN 'sides-differ' END
                      WHEN other.transaction_id IS DISTINCT FROM own.transaction_id THEN 'one-sided'
                      WHEN other.payment_status = 3
                        OR (other.wallet_id, other.currency, other.amount, other.partner_client_id, other.partner_wallet_id,
                            other.partner_currency, other.partner_amount, other.exchange_rate)
                           IS DISTINCT FROM
                           (own.partner_wallet_id, own.partner_currency, own.partner_amount, own.client_id, own.wallet_id,
                            own.currency, own.amount, own.exchange_rate) THEN 'sides-differ' END AS kind,
                      format('%s of payment %s', -own.partner_amount, own.id) AS expected,
                      CASE WHEN other.id IS NULL THEN 'nothing'
                           ELSE format('%s at %s', other.amount, trim_scale(other.exchange_rate)) END AS found
                  ) AS compared
            WHERE compared.kind IS NOT NULL"#,
        column(sides, |side| side.partner_client_id) as _,
        column(sides, |side| side.client_id) as _,
        column(sides, |side| side.wallet_id) as _,
        column(sides, |side| side.payment_id) as _,
        column(sides, |side| side.transaction_id) as _,
        &column(sides, |side| side.is_returned),
        &column(sides, |side| side.currency),
        &column(sides, |side| side.amount),
        column(sides, |side| side.partner_wallet_id) as _,
        &column(sides, |side| side.partner_currency),
        &column(sides, |side| side.partner_amount),
        &column(sides, |side| side.exchange_rate),
        column(sides, |side| side.payer_payment_id) as _,
    );
    Ok(found.fetch_all(connection).await?)
}

fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
