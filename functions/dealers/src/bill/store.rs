//! `bills`. Whoever changes one holds its account's lock.

use chrono::{DateTime, Utc};
use domain::dealers::account::AccountType;
use domain::dealers::bill::{BillOperation, BillStatus, IssuingStatus};
use domain::dealers::{CURRENCY, kopecks};
use domain::ids::{BillId, BillingBillId, BillingPaymentId, DealId, DealerId};
use domain::money::Money;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;
use crate::events::{BillPayload, DealerPayload};

/// A bill.
#[derive(Debug, Clone)]
pub(crate) struct Bill {
    pub(crate) id: BillId,
    pub(crate) dealer_id: DealerId,
    pub(crate) account_type: AccountType,
    pub(crate) operation: BillOperation,
    pub(crate) deal_id: DealId,
    /// What a commission was made from, in kopecks.
    pub(crate) deal_price: Option<i64>,
    pub(crate) commission_rate: Option<Decimal>,
    pub(crate) common_sum: i64,
    pub(crate) paid_sum: i64,
    pub(crate) status: BillStatus,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) url: Option<String>,
    pub(crate) billing_bill_id: Option<BillingBillId>,
    pub(crate) issuing_status: IssuingStatus,
    /// Until when somebody is asking Billing about it.
    pub(crate) asked_until: Option<DateTime<Utc>>,
    pub(crate) void_reason: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) paid_at: Option<DateTime<Utc>>,
    pub(crate) voided_at: Option<DateTime<Utc>>,
}

impl Bill {
    pub(crate) fn common(&self) -> Money {
        kopecks(self.common_sum)
    }

    pub(crate) fn payload(&self, dealer: DealerPayload) -> BillPayload {
        BillPayload {
            dealer,
            bill_id: self.id,
            account_type: self.account_type,
            operation: self.operation,
            deal_id: self.deal_id.clone(),
            common_sum: self.common_sum,
            paid_sum: self.paid_sum,
            currency: CURRENCY.code(),
            status: self.status,
            due_at: self.due_at,
        }
    }
}

/// A bill to write down.
#[derive(Debug)]
pub(crate) struct NewBill<'a> {
    pub(crate) dealer_id: DealerId,
    pub(crate) operation: BillOperation,
    pub(crate) deal_id: &'a DealId,
    pub(crate) deal_price: Option<Money>,
    pub(crate) commission_rate: Option<Decimal>,
    pub(crate) common: Money,
    pub(crate) due_at: DateTime<Utc>,
}

/// Writes a bill down; nothing when the deal has a live one. Waits for a concurrent one.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    new: &NewBill<'_>,
    now: DateTime<Utc>,
) -> Result<Option<BillId>, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO bills (dealer_id, account_type, operation, deal_id, deal_price, commission_rate, common_sum, due_at,
               created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           ON CONFLICT (operation, deal_id) WHERE status <> 'voided' DO NOTHING RETURNING id AS "id: BillId""#,
        new.dealer_id as _,
        new.operation.account_type() as _,
        new.operation as _,
        new.deal_id as _,
        new.deal_price.map(|price| price.minor()),
        new.commission_rate,
        new.common.minor(),
        new.due_at,
        now,
    );
    Ok(id.fetch_optional(connection).await?)
}

/// The bill that counts for a deal.
pub(crate) async fn live(
    connection: &mut PgConnection,
    operation: BillOperation,
    deal: &DealId,
) -> Result<Option<Bill>, Error> {
    let bill = sqlx::query_as!(
        Bill,
        r#"SELECT id AS "id: _", dealer_id AS "dealer_id: _", account_type AS "account_type: _",
                  operation AS "operation: _", deal_id AS "deal_id: _", deal_price, commission_rate, common_sum, paid_sum,
                  status AS "status: _", due_at, url, billing_bill_id AS "billing_bill_id: _",
                  issuing_status AS "issuing_status: _", asked_until, void_reason, created_at, paid_at, voided_at
           FROM bills WHERE operation = $1 AND deal_id = $2 AND status <> 'voided'"#,
        operation as _,
        deal as _,
    );
    Ok(bill.fetch_optional(connection).await?)
}

/// A bill. Whoever changes it holds its account's lock.
pub(crate) async fn load(connection: &mut PgConnection, id: BillId) -> Result<Option<Bill>, Error> {
    let bill = sqlx::query_as!(
        Bill,
        r#"SELECT id AS "id: _", dealer_id AS "dealer_id: _", account_type AS "account_type: _",
                  operation AS "operation: _", deal_id AS "deal_id: _", deal_price, commission_rate, common_sum, paid_sum,
                  status AS "status: _", due_at, url, billing_bill_id AS "billing_bill_id: _",
                  issuing_status AS "issuing_status: _", asked_until, void_reason, created_at, paid_at, voided_at
           FROM bills WHERE id = $1"#,
        id as _,
    );
    Ok(bill.fetch_optional(connection).await?)
}

/// Saves where a bill stands in itself and in Billing.
pub(crate) async fn save(connection: &mut PgConnection, bill: &Bill) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE bills SET status = $2, url = $3, billing_bill_id = $4, issuing_status = $5, asked_until = $6,
             void_reason = $7, voided_at = $8
         WHERE id = $1",
        bill.id as _,
        bill.status as _,
        bill.url,
        bill.billing_bill_id.as_ref() as _,
        bill.issuing_status as _,
        bill.asked_until,
        bill.void_reason,
        bill.voided_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The bills of an account that Billing hasn't made yet, or may have.
pub(crate) async fn to_issue_of(
    connection: &mut PgConnection,
    dealer: DealerId,
    account_type: AccountType,
) -> Result<Vec<BillId>, Error> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: BillId" FROM bills
           WHERE dealer_id = $1 AND account_type = $2 AND issuing_status IN ('pending', 'unknown') ORDER BY id"#,
        dealer as _,
        account_type as _,
    );
    Ok(ids.fetch_all(connection).await?)
}

/// Which bills are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    /// Those of this status.
    pub(crate) status: Option<BillStatus>,
    /// Those that are to be paid.
    pub(crate) is_open: bool,
}

/// The dealer's bills after the one of id `after`, oldest first.
pub(crate) async fn page(
    connection: &mut PgConnection,
    dealer: DealerId,
    filter: Filter,
    after: Option<BillId>,
    rows: i64,
) -> Result<Vec<Bill>, Error> {
    let bills = sqlx::query_as!(
        Bill,
        r#"SELECT id AS "id: _", dealer_id AS "dealer_id: _", account_type AS "account_type: _",
                  operation AS "operation: _", deal_id AS "deal_id: _", deal_price, commission_rate, common_sum, paid_sum,
                  status AS "status: _", due_at, url, billing_bill_id AS "billing_bill_id: _",
                  issuing_status AS "issuing_status: _", asked_until, void_reason, created_at, paid_at, voided_at
           FROM bills
           WHERE dealer_id = $1 AND id > COALESCE($2::BIGINT, 0) AND ($3::TEXT IS NULL OR status = $3)
             AND (NOT $4 OR status IN ('created', 'issued', 'partially_paid'))
           ORDER BY id LIMIT $5"#,
        dealer as _,
        after as _,
        filter.status.map(|status| status.name()),
        filter.is_open,
        rows,
    );
    Ok(bills.fetch_all(connection).await?)
}

/// Sums over the dealer's bills that weren't taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) billed: i64,
    pub(crate) paid: i64,
    pub(crate) owed: i64,
    pub(crate) overdue: i64,
}

/// What the dealer was billed in all, and what of it is left to pay at a time.
pub(crate) async fn totals(
    connection: &mut PgConnection,
    dealer: DealerId,
    now: DateTime<Utc>,
) -> Result<Totals, Error> {
    let totals = sqlx::query_as!(
        Totals,
        r#"SELECT COALESCE(sum(common_sum), 0)::BIGINT AS "billed!", COALESCE(sum(paid_sum), 0)::BIGINT AS "paid!",
                  COALESCE(sum(common_sum - paid_sum), 0)::BIGINT AS "owed!",
                  COALESCE(sum(common_sum - paid_sum) FILTER (WHERE due_at <= $2), 0)::BIGINT AS "overdue!"
           FROM bills WHERE dealer_id = $1 AND status <> 'voided'"#,
        dealer as _,
        now,
    );
    Ok(totals.fetch_one(connection).await?)
}

/// A part of a bill, with the payment that paid it.
#[derive(Debug, Clone)]
pub(crate) struct PaidPart {
    pub(crate) payment_id: BillingPaymentId,
    pub(crate) amount: i64,
    pub(crate) paid_at: DateTime<Utc>,
}

/// The parts of a bill that are paid, in the order in which they were.
pub(crate) async fn parts(connection: &mut PgConnection, bill: BillId) -> Result<Vec<PaidPart>, Error> {
    let parts = sqlx::query_as!(
        PaidPart,
        r#"SELECT part.payment_id AS "payment_id: _", part.amount, paid_at
           FROM bill_payments AS part JOIN dealer_payments AS payment USING (payment_id)
           WHERE bill_id = $1 ORDER BY part.id"#,
        bill as _,
    );
    Ok(parts.fetch_all(connection).await?)
}
