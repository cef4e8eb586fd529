//! The events that dealers publish, on the topic `dealers.events`, and the messages that set off the work with Billing.
//! Events of one dealer come in order.

use chrono::{DateTime, Utc};
use domain::dealers::account::AccountType;
use domain::dealers::bill::{BillOperation, BillStatus};
use domain::ids::{BillId, BillingPaymentId, CmeClientId, DealId, DealerId};
use platform::messaging::event::Envelope;
use platform::messaging::outbox::{self, Destination};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::Error;

/// A dealer was registered.
pub const DEALER_REGISTERED: &str = "dealer.registered";
/// An account was opened for a dealer.
pub const ACCOUNT_OPENED: &str = "dealer.account.opened";
/// A bill was written down.
pub const BILL_CREATED: &str = "dealer.bill.created";
/// All of a bill is paid.
pub const BILL_PAID: &str = "dealer.bill.paid";
/// A bill that was paid is open again.
pub const BILL_REOPENED: &str = "dealer.bill.reopened";
/// A bill was taken back.
pub const BILL_VOIDED: &str = "dealer.bill.voided";
/// A payment, or a part of one, was taken back.
pub const PAYMENT_REVERSED: &str = "dealer.payment.reversed";

const ACCOUNT_TO_PROVISION: &str = "dealer.account.to-provision";
const BILL_TO_ISSUE: &str = "dealer.bill.to-issue";

const TOPIC: [Destination; 1] = [Destination::Topic("dealers.events")];
const PROVISIONING: [Destination; 1] = [Destination::Queue("account-provisioning")];
const ISSUING: [Destination; 1] = [Destination::Queue("bill-issuing")];

/// Whom an event is about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DealerPayload {
    pub(crate) dealer_id: DealerId,
    pub(crate) cme_client_id: CmeClientId,
}

/// An account that was opened.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AccountPayload {
    #[serde(flatten)]
    pub(crate) dealer: DealerPayload,
    pub(crate) account_type: AccountType,
}

/// A bill as it is after what has happened.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BillPayload {
    #[serde(flatten)]
    pub(crate) dealer: DealerPayload,
    pub(crate) bill_id: BillId,
    pub(crate) account_type: AccountType,
    pub(crate) operation: BillOperation,
    pub(crate) deal_id: DealId,
    /// In kopecks.
    pub(crate) common_sum: i64,
    /// In kopecks.
    pub(crate) paid_sum: i64,
    pub(crate) currency: &'static str,
    pub(crate) status: BillStatus,
    pub(crate) due_at: DateTime<Utc>,
}

/// A payment that was taken back.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReversalPayload {
    #[serde(flatten)]
    pub(crate) dealer: DealerPayload,
    pub(crate) account_type: AccountType,
    pub(crate) payment_id: BillingPaymentId,
    pub(crate) reversal_id: BillingPaymentId,
    /// What was taken back, in kopecks.
    pub(crate) amount: i64,
    pub(crate) currency: &'static str,
}

/// An account that Billing has to know, or whose requisite it has to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountToProvision {
    /// Whose.
    pub dealer_id: DealerId,
    /// Which.
    pub account_type: AccountType,
}

/// A bill that Billing has to make, or to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillToIssue {
    /// Which.
    pub bill_id: BillId,
}

/// Publishes something that happened to a dealer.
pub(crate) async fn publish<T: Serialize>(
    connection: &mut PgConnection,
    kind: &str,
    dealer: DealerId,
    at: DateTime<Utc>,
    payload: T,
) -> Result<(), Error> {
    publish_all(connection, dealer, at, vec![(kind, payload)]).await
}

/// Publishes several things that happened to a dealer, in their order.
pub(crate) async fn publish_all<T: Serialize>(
    connection: &mut PgConnection,
    dealer: DealerId,
    at: DateTime<Utc>,
    happened: Vec<(&str, T)>,
) -> Result<(), Error> {
    if happened.is_empty() {
        return Ok(());
    }
    let events: Vec<Envelope<T>> = happened
        .into_iter()
        .map(|(kind, payload)| Envelope::new(kind, key(dealer), at, payload))
        .collect();
    Ok(outbox::publish_all(connection, &events, &TOPIC).await?)
}

/// Has accounts provisioned.
pub(crate) async fn provision(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    accounts: &[AccountToProvision],
) -> Result<(), Error> {
    if accounts.is_empty() {
        return Ok(());
    }
    let of = |account: &AccountToProvision| {
        Envelope::new(ACCOUNT_TO_PROVISION, key(account.dealer_id), at, *account)
    };
    let events: Vec<Envelope<AccountToProvision>> = accounts.iter().map(of).collect();
    Ok(outbox::publish_all(connection, &events, &PROVISIONING).await?)
}

/// Has bills issued, or taken back.
pub(crate) async fn issue(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    bills: &[BillId],
) -> Result<(), Error> {
    if bills.is_empty() {
        return Ok(());
    }
    let of = |bill: &BillId| {
        Envelope::new(
            BILL_TO_ISSUE,
            format!("bill-{bill}"),
            at,
            BillToIssue { bill_id: *bill },
        )
    };
    let events: Vec<Envelope<BillToIssue>> = bills.iter().map(of).collect();
    Ok(outbox::publish_all(connection, &events, &ISSUING).await?)
}

fn key(dealer: DealerId) -> String {
    format!("dealer-{dealer}")
}
