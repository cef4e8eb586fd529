//! The books of an account: its open bills, and what is left of its payments. Whoever reads them to change them holds the
//! account's lock.

use chrono::{DateTime, Utc};
use domain::dealers::bill::BillStatus;
use domain::dealers::books::{BookedBill, Books, ChangedBill};
use domain::dealers::distribution::Unspent;
use domain::dealers::kopecks;
use domain::ids::{BillId, BillingPaymentId};
use domain::money::Money;
use sqlx::PgConnection;

use crate::Error;
use crate::account::store::Account;
use crate::bill::store::Bill;

struct BillRow {
    id: BillId,
    common_sum: i64,
    paid_sum: i64,
    status: BillStatus,
    is_issued: bool,
}

struct RestRow {
    payment_id: BillingPaymentId,
    unspent: i64,
}

struct PartRow {
    bill_id: BillId,
    amount: i64,
}

/// The books: all open bills, those that `payment` has paid a part of, and all rests, the oldest first.
pub(crate) async fn load(
    connection: &mut PgConnection,
    account: &Account,
    payment: Option<&BillingPaymentId>,
) -> Result<Books, Error> {
    let bills = sqlx::query_as!(
        BillRow,
        r#"SELECT id AS "id: _", common_sum, paid_sum, status AS "status: _", billing_bill_id IS NOT NULL AS "is_issued!"
           FROM bills
           WHERE dealer_id = $1 AND account_type = $2
             AND (status IN ('created', 'issued', 'partially_paid')
                  OR id IN (SELECT bill_id FROM bill_payments WHERE payment_id = $3))"#,
        account.dealer_id as _,
        account.account_type as _,
        payment as _,
    )
    .fetch_all(&mut *connection)
    .await?;
    let rests = sqlx::query_as!(
        RestRow,
        r#"SELECT payment_id AS "payment_id: _", unspent FROM dealer_payments
           WHERE dealer_id = $1 AND account_type = $2 AND unspent > 0 ORDER BY paid_at, payment_id"#,
        account.dealer_id as _,
        account.account_type as _,
    )
    .fetch_all(connection)
    .await?;
    let booked = bills.into_iter().map(|row| BookedBill {
        id: row.id,
        common: kopecks(row.common_sum),
        paid: kopecks(row.paid_sum),
        status: row.status,
        is_issued: row.is_issued,
    });
    let rests = rests.into_iter().map(|row| Unspent {
        payment: row.payment_id,
        amount: kopecks(row.unspent),
    });
    Ok(Books::new(booked, rests.collect()))
}

/// The parts that a payment has paid, the newest first.
pub(crate) async fn parts_of(
    connection: &mut PgConnection,
    payment: &BillingPaymentId,
) -> Result<Vec<(BillId, Money)>, Error> {
    let parts = sqlx::query_as!(
        PartRow,
        r#"SELECT bill_id AS "bill_id: _", amount FROM bill_payments WHERE payment_id = $1 ORDER BY id DESC"#,
        payment as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(parts
        .into_iter()
        .map(|part| (part.bill_id, kopecks(part.amount)))
        .collect())
}

/// Notes at a payment how much more was taken back of it.
pub(crate) async fn note_reversed(
    connection: &mut PgConnection,
    payment: &BillingPaymentId,
    amount: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    // What it hadn't spent goes first, so that the row is sound at once; the rests are written after it.
    sqlx::query!(
        "UPDATE dealer_payments SET unspent = greatest(unspent - $2, 0), reversed_amount = reversed_amount + $2,
             reversed_at = $3
         WHERE payment_id = $1",
        payment as _,
        amount,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the parts that have changed: those taken back, then those that pay more.
pub(crate) async fn save_parts(connection: &mut PgConnection, books: &Books) -> Result<(), Error> {
    let (mut taken, mut paid) = (Columns::default(), Columns::default());
    for (payment, bill, by) in books.changed_parts() {
        if by.is_negative() {
            taken.push(payment, bill, by.checked_neg()?);
        } else {
            paid.push(payment, bill, by);
        }
    }
    if !taken.amounts.is_empty() {
        sqlx::query!(
            "WITH taken AS (
                 SELECT * FROM unnest($1::TEXT[], $2::BIGINT[], $3::BIGINT[]) AS taken (payment_id, bill_id, amount)
             ), gone AS (
                 DELETE FROM bill_payments AS part USING taken
                 WHERE part.payment_id = taken.payment_id AND part.bill_id = taken.bill_id AND part.amount = taken.amount
             )
             UPDATE bill_payments AS part SET amount = part.amount - taken.amount FROM taken
             WHERE part.payment_id = taken.payment_id AND part.bill_id = taken.bill_id AND part.amount <> taken.amount",
            &taken.payments,
            &taken.bills,
            &taken.amounts,
        )
        .execute(&mut *connection)
        .await?;
    }
    if !paid.amounts.is_empty() {
        sqlx::query!(
            "INSERT INTO bill_payments (payment_id, bill_id, amount)
             SELECT * FROM unnest($1::TEXT[], $2::BIGINT[], $3::BIGINT[])
             ON CONFLICT (payment_id, bill_id) DO UPDATE SET amount = bill_payments.amount + excluded.amount",
            &paid.payments,
            &paid.bills,
            &paid.amounts,
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

#[derive(Default)]
struct Columns {
    payments: Vec<String>,
    bills: Vec<i64>,
    amounts: Vec<i64>,
}

impl Columns {
    fn push(&mut self, payment: &BillingPaymentId, bill: BillId, amount: Money) {
        self.payments.push(payment.to_string());
        self.bills.push(bill.get());
        self.amounts.push(amount.minor());
    }
}

/// Writes what is left of the payments, and the balance that it makes.
pub(crate) async fn save_rests(
    connection: &mut PgConnection,
    account: &Account,
    books: &Books,
) -> Result<(), Error> {
    let payments: Vec<String> = books
        .rests()
        .iter()
        .map(|rest| rest.payment.to_string())
        .collect();
    let amounts: Vec<i64> = books.rests().iter().map(|rest| rest.amount.minor()).collect();
    sqlx::query!(
        "WITH rest AS (SELECT * FROM unnest($3::TEXT[], $4::BIGINT[]) AS rest (payment_id, amount)),
              spent AS (
                  UPDATE dealer_payments AS payment SET unspent = COALESCE(
                      (SELECT amount FROM rest WHERE rest.payment_id = payment.payment_id), 0)
                  WHERE dealer_id = $1 AND account_type = $2 AND unspent > 0
              )
         UPDATE dealer_accounts SET current_balance = (SELECT COALESCE(sum(amount), 0)::BIGINT FROM rest)
         WHERE dealer_id = $1 AND account_type = $2",
        account.dealer_id as _,
        account.account_type as _,
        &payments,
        &amounts,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what is paid of the bills that have changed.
pub(crate) async fn save_bills(
    connection: &mut PgConnection,
    changed: &[ChangedBill],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = changed.iter().map(|bill| bill.after.id.get()).collect();
    let paid: Vec<i64> = changed.iter().map(|bill| bill.after.paid.minor()).collect();
    let statuses: Vec<String> = changed.iter().map(|bill| bill.after.status.to_string()).collect();
    sqlx::query!(
        "UPDATE bills AS bill SET paid_sum = changed.paid_sum, status = changed.status,
             paid_at = CASE WHEN changed.status = 'paid' THEN COALESCE(bill.paid_at, $4) END
         FROM unnest($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) AS changed (id, paid_sum, status)
         WHERE bill.id = changed.id",
        &ids,
        &paid,
        &statuses,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Bills by their ids.
pub(crate) async fn bills(connection: &mut PgConnection, ids: &[BillId]) -> Result<Vec<Bill>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
    let bills = sqlx::query_as!(
        Bill,
        r#"SELECT id AS "id: _", dealer_id AS "dealer_id: _", account_type AS "account_type: _",
                  operation AS "operation: _", deal_id AS "deal_id: _", deal_price, commission_rate, common_sum, paid_sum,
                  status AS "status: _", due_at, url, billing_bill_id AS "billing_bill_id: _",
                  issuing_status AS "issuing_status: _", asked_until, void_reason, created_at, paid_at, voided_at
           FROM bills WHERE id = ANY ($1)"#,
        &ids,
    );
    Ok(bills.fetch_all(connection).await?)
}
