//! What the reconciliation compares, and what it makes up for.

use chrono::{DateTime, Utc};
use domain::dealers::account::AccountType;
use domain::dealers::bill::{BillStatus, IssuingStatus};
use domain::ids::{BillId, BillingBillId, BillingClientId, BillingPaymentId, DealerId};
use sqlx::PgConnection;

use crate::Error;
use crate::events::AccountToProvision;

/// Accounts that Billing doesn't know yet, or with an older requisite, and that no person has to look at first.
pub(crate) async fn to_provision(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<AccountToProvision>, Error> {
    let accounts = sqlx::query_as!(
        AccountToProvision,
        r#"SELECT dealer_id AS "dealer_id: _", account_type AS "account_type: AccountType"
           FROM dealer_accounts AS account JOIN dealers AS dealer ON dealer.id = account.dealer_id
           WHERE provisioning_status <> 'parked'
             AND (provisioning_status <> 'ready' OR account.requisite_version <> dealer.requisite_version)
           ORDER BY dealer_id, account_type LIMIT $1"#,
        limit,
    );
    Ok(accounts.fetch_all(connection).await?)
}

/// Bills that Billing hasn't made yet though it knows the account, and those that it has to take back.
pub(crate) async fn to_issue(connection: &mut PgConnection, limit: i64) -> Result<Vec<BillId>, Error> {
    let bills = sqlx::query_scalar!(
        r#"SELECT bill.id AS "id: BillId"
           FROM bills AS bill JOIN dealer_accounts AS account USING (dealer_id, account_type)
           WHERE (issuing_status IN ('pending', 'unknown') OR (status = 'voided' AND issuing_status = 'issued'))
             AND provisioning_status = 'ready'
           ORDER BY bill.id LIMIT $1"#,
        limit,
    );
    Ok(bills.fetch_all(connection).await?)
}

/// A bill as we have it.
#[derive(Debug, Clone)]
pub(crate) struct RecordedBill {
    pub(crate) id: BillId,
    pub(crate) dealer_id: DealerId,
    pub(crate) common_sum: i64,
    pub(crate) status: BillStatus,
    pub(crate) issuing_status: IssuingStatus,
    pub(crate) billing_bill_id: Option<BillingBillId>,
    pub(crate) billing_client_id: Option<BillingClientId>,
}

/// The bills that were written down since a time, after the one of id `after`, and that Billing was asked about.
pub(crate) async fn bills_since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    after: Option<BillId>,
    limit: i64,
) -> Result<Vec<RecordedBill>, Error> {
    let bills = sqlx::query_as!(
        RecordedBill,
        r#"SELECT bill.id AS "id: _", dealer_id AS "dealer_id: _", common_sum, status AS "status: _",
                  issuing_status AS "issuing_status: _", billing_bill_id AS "billing_bill_id: _",
                  billing_client_id AS "billing_client_id: _"
           FROM bills AS bill JOIN dealer_accounts AS account USING (dealer_id, account_type)
           WHERE bill.created_at >= $1 AND bill.id > COALESCE($2::BIGINT, 0)
             AND issuing_status IN ('issued', 'withdrawn') AND billing_client_id IS NOT NULL
           ORDER BY bill.id LIMIT $3"#,
        since,
        after as _,
        limit,
    );
    Ok(bills.fetch_all(connection).await?)
}

/// A payment as we have it.
#[derive(Debug, Clone)]
pub(crate) struct RecordedPayment {
    pub(crate) payment_id: BillingPaymentId,
    pub(crate) dealer_id: DealerId,
    pub(crate) amount: i64,
}

/// What the first message of a payment said.
#[derive(Debug, Clone)]
pub(crate) struct FirstMessage {
    pub(crate) payment_id: BillingPaymentId,
    pub(crate) dealer_id: DealerId,
    pub(crate) billing_client_id: Option<BillingClientId>,
    pub(crate) billing_bill_id: Option<BillingBillId>,
    pub(crate) amount: i64,
    pub(crate) reversal_of: Option<BillingPaymentId>,
}

/// What the first messages of these ids said.
pub(crate) async fn first_messages(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<Vec<FirstMessage>, Error> {
    let payments = sqlx::query_as!(
        FirstMessage,
        r#"SELECT payment_id AS "payment_id: _", dealer_id AS "dealer_id: _", billing_client_id AS "billing_client_id: _",
                  message ->> 'billId' AS "billing_bill_id: _", amount, reversal_of AS "reversal_of: _"
           FROM dealer_payments JOIN dealer_accounts USING (dealer_id, account_type) WHERE payment_id = ANY ($1)"#,
        ids,
    );
    Ok(payments.fetch_all(connection).await?)
}

/// Payments of a span of time that aren't among these.
pub(crate) async fn unlisted(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    listed: &[String],
) -> Result<Vec<RecordedPayment>, Error> {
    let payments = sqlx::query_as!(
        RecordedPayment,
        r#"SELECT payment_id AS "payment_id: _", dealer_id AS "dealer_id: _", amount FROM dealer_payments
           WHERE paid_at >= $1 AND paid_at < $2 AND payment_id <> ALL ($3) ORDER BY payment_id"#,
        since,
        until,
        listed,
    );
    Ok(payments.fetch_all(connection).await?)
}

/// Reversals that have waited for their payment since before a time.
pub(crate) async fn orphans(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<Vec<RecordedPayment>, Error> {
    let payments = sqlx::query_as!(
        RecordedPayment,
        r#"SELECT payment_id AS "payment_id: _", dealer_id AS "dealer_id: _", amount FROM dealer_payments
           WHERE reversal_of IS NOT NULL AND reversed_at IS NULL AND received_at < $1 ORDER BY payment_id"#,
        before,
    );
    Ok(payments.fetch_all(connection).await?)
}
