//! `dealer_payments`: payments and reversals, each once. Whoever writes one holds its account's lock.

use chrono::{DateTime, Utc};
use domain::dealers::account::AccountType;
use domain::ids::{BillId, BillingBillId, BillingPaymentId, DealerId};
use providers::billing::PaymentMessage;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::account::store::Account;

/// What the first message of a payment, or of a reversal, said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstMessage {
    pub(crate) dealer_id: DealerId,
    pub(crate) account_type: AccountType,
    pub(crate) amount: i64,
    pub(crate) reversal_of: Option<BillingPaymentId>,
}

/// Writes a payment down, with all of it unspent, or a reversal, which has nothing to spend; `false` when it was told
/// before. Waits for a concurrent message of the same id.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    account: &Account,
    message: &PaymentMessage,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "INSERT INTO dealer_payments (payment_id, dealer_id, account_type, amount, unspent, reversal_of, paid_at, message,
             received_at)
         VALUES ($1, $2, $3, $4::BIGINT, CASE WHEN $5::TEXT IS NULL THEN $4::BIGINT ELSE 0 END, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        message.payment_id as _,
        account.dealer_id as _,
        account.account_type as _,
        message.amount,
        message.reversal_of.as_ref().map(BillingPaymentId::as_str),
        message.paid_at,
        Json(message) as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// What the first message of an id said.
pub(crate) async fn first_message(
    connection: &mut PgConnection,
    payment: &BillingPaymentId,
) -> Result<Option<FirstMessage>, Error> {
    let first = sqlx::query_as!(
        FirstMessage,
        r#"SELECT dealer_id AS "dealer_id: _", account_type AS "account_type: _", amount,
                  reversal_of AS "reversal_of: _"
           FROM dealer_payments WHERE payment_id = $1"#,
        payment as _,
    );
    Ok(first.fetch_optional(connection).await?)
}

/// A reversal that waits for its payment.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) reversal: BillingPaymentId,
    pub(crate) dealer_id: DealerId,
    pub(crate) account_type: AccountType,
    pub(crate) amount: i64,
}

/// The reversals that came before the payment that they take back.
pub(crate) async fn waiting_for(
    connection: &mut PgConnection,
    payment: &BillingPaymentId,
) -> Result<Vec<Waiting>, Error> {
    let waiting = sqlx::query_as!(
        Waiting,
        r#"SELECT payment_id AS "reversal: _", dealer_id AS "dealer_id: _", account_type AS "account_type: _", amount
           FROM dealer_payments WHERE reversal_of = $1 AND reversed_at IS NULL ORDER BY paid_at, payment_id"#,
        payment as _,
    );
    Ok(waiting.fetch_all(connection).await?)
}

/// Notes what a reversal has taken back, at its end.
pub(crate) async fn note_taken(
    connection: &mut PgConnection,
    reversal: &BillingPaymentId,
    amount: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE dealer_payments SET reversed_amount = $2, reversed_at = $3 WHERE payment_id = $1",
        reversal as _,
        amount,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The account's bill of a name in Billing that a payment can pay.
pub(crate) async fn payable_bill(
    connection: &mut PgConnection,
    account: &Account,
    bill: &BillingBillId,
) -> Result<Option<BillId>, Error> {
    let id = sqlx::query_scalar!(
        r#"SELECT id AS "id: BillId" FROM bills
           WHERE billing_bill_id = $3 AND dealer_id = $1 AND account_type = $2 AND status <> 'voided'"#,
        account.dealer_id as _,
        account.account_type as _,
        bill as _,
    );
    Ok(id.fetch_optional(connection).await?)
}
