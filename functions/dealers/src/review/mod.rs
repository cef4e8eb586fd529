//! What of dealers waits for a person: the reviews that are opened here. What a decision does is in
//! [`review_decision`](crate::review_decision).

use chrono::{DateTime, Utc};
use domain::dealers::account::AccountType;
use domain::ids::{BillId, BillingPaymentId, DealerId};
use domain::money::Money;
use platform::observability::metrics;
use platform::review::{self, Action, Evidence, NewReview, Subject};
use providers::billing::PaymentMessage;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::Error;
use crate::account::store::Account;
use crate::bill::store::Bill;
use crate::billing::Refusal;
use crate::payment::store::FirstMessage;

/// The area, as its queue of decisions names it.
const AREA: &str = "dealers";

/// Billing refuses a step of an account, or has something else in its place.
pub(crate) const ACCOUNT_REFUSED: &str = "account-refused";
/// Billing refuses a bill, or has it differently.
pub(crate) const BILL_REFUSED: &str = "bill-refused";
/// Another amount or client under the id of a payment.
pub(crate) const PAYMENT_CONFLICTS: &str = "payment-conflicts";
/// A payment names a bill that it can't pay.
pub(crate) const PAYMENT_NAMES_NO_BILL: &str = "payment-names-no-bill";
/// A reversal wants more than there is.
pub(crate) const REVERSAL_UNCOVERED: &str = "reversal-uncovered";
/// Billing and our record differ.
pub(crate) const RECORDS_DIFFER: &str = "records-differ";

/// Try the account once more.
pub(crate) const PROVISION_AGAIN: &str = "provision-again";
/// Try the bill once more.
pub(crate) const ISSUE_AGAIN: &str = "issue-again";
/// It was settled with Billing.
pub(crate) const ACKNOWLEDGE: &str = "acknowledge";

const ACCOUNT_ACTIONS: &[Action] = &[Action::new(
    PROVISION_AGAIN,
    "Goes on with the account in Billing where it stopped; after what was refused has been mended there, or the requisite here.",
)];
const BILL_ACTIONS: &[Action] = &[Action::new(
    ISSUE_AGAIN,
    "Asks Billing once more for the bill, or to take it back if it was voided; after what was refused has been mended there.",
)];
const ACKNOWLEDGE_ACTIONS: &[Action] = &[Action::new(
    ACKNOWLEDGE,
    "Closes it: it was settled with Billing, whose next message or reconciliation brings what has changed.",
)];

/// Billing refuses a step of an account.
pub(crate) async fn account_refused(
    connection: &mut PgConnection,
    account: &Account,
    refusal: &Refusal,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: ACCOUNT_REFUSED,
        subject: subject_of_account(account.dealer_id, account.account_type),
        about: Subject::dealer(account.dealer_id),
        summary: format!(
            "Billing refuses the {} account of dealer {} ({})",
            account.account_type, account.cme_client_id, refusal.code
        ),
        evidence: Evidence {
            ours: json!({
                "account_type": account.account_type, "billing_client_id": account.billing_client_id,
                "billing_payer_id": account.billing_payer_id, "billing_contract_id": account.billing_contract_id,
            }),
            theirs: json!(refusal),
        },
        actions: ACCOUNT_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// An account is tried again: there is nothing to decide any more.
pub(crate) async fn account_settled(
    connection: &mut PgConnection,
    account: &Account,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let subject = subject_of_account(account.dealer_id, account.account_type);
    review::settle(connection, AREA, ACCOUNT_REFUSED, &subject, reason, now).await?;
    Ok(())
}

/// Billing refuses a bill, or has it differently.
pub(crate) async fn bill_refused(
    connection: &mut PgConnection,
    account: &Account,
    bill: &Bill,
    refusal: &Refusal,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: BILL_REFUSED,
        subject: subject_of_bill(bill.id),
        about: Subject::dealer(account.dealer_id),
        summary: format!(
            "Billing refuses bill {} of {} for dealer {} ({})",
            bill.id,
            bill.common(),
            account.cme_client_id,
            refusal.code
        ),
        evidence: Evidence {
            ours: json!({
                "bill_id": bill.id, "status": bill.status, "common_sum": bill.common_sum, "deal_id": bill.deal_id,
                "billing_client_id": account.billing_client_id,
            }),
            theirs: json!(refusal),
        },
        actions: BILL_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// A message says something else than the first of its id.
pub(crate) async fn payment_conflicts(
    connection: &mut PgConnection,
    account: &Account,
    first: &FirstMessage,
    message: &PaymentMessage,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    metrics::count("PaymentConflicts", 1);
    let review = NewReview {
        area: AREA,
        kind: PAYMENT_CONFLICTS,
        subject: subject_of_payment(&message.payment_id),
        about: Subject::dealer(account.dealer_id),
        summary: format!(
            "Billing tells payment {} once more, and differently; the first word counts",
            message.payment_id
        ),
        evidence: Evidence {
            ours: json!({
                "dealer_id": first.dealer_id, "account_type": first.account_type, "amount": first.amount,
                "reversal_of": first.reversal_of,
            }),
            theirs: json!(message),
        },
        actions: ACKNOWLEDGE_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// A payment names a bill of another client, one that was taken back, or none that we know.
pub(crate) async fn payment_names_no_bill(
    connection: &mut PgConnection,
    account: &Account,
    message: &PaymentMessage,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: PAYMENT_NAMES_NO_BILL,
        subject: subject_of_payment(&message.payment_id),
        about: Subject::dealer(account.dealer_id),
        summary: format!(
            "Payment {} names a bill that isn't an open one of its client; the oldest bills were paid with it",
            message.payment_id
        ),
        evidence: Evidence {
            ours: json!({ "dealer_id": account.dealer_id, "account_type": account.account_type }),
            theirs: json!(message),
        },
        actions: ACKNOWLEDGE_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// A reversal wants to take back more than there is of its payment.
pub(crate) async fn reversal_uncovered(
    connection: &mut PgConnection,
    account: &Account,
    payment: &BillingPaymentId,
    reversal: &BillingPaymentId,
    amount: Money,
    uncovered: Money,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: REVERSAL_UNCOVERED,
        subject: subject_of_payment(reversal),
        about: Subject::dealer(account.dealer_id),
        summary: format!("Reversal {reversal} takes back {amount}, of which {uncovered} isn't there"),
        evidence: Evidence {
            ours: json!({
                "dealer_id": account.dealer_id, "account_type": account.account_type, "payment_id": payment,
                "uncovered": uncovered.minor(),
            }),
            theirs: json!({ "reversal_id": reversal, "amount": amount.minor() }),
        },
        actions: ACKNOWLEDGE_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// What the reconciliation found different.
#[derive(Debug)]
pub(crate) struct Difference {
    /// What it is about, with its kind: `bill-7`, `payment-P-1`.
    pub(crate) subject: String,
    pub(crate) dealer: Option<DealerId>,
    pub(crate) summary: String,
    pub(crate) ours: Value,
    pub(crate) theirs: Value,
}

/// Billing and our record differ: nothing is changed, and a person has to look.
pub(crate) async fn records_differ(
    connection: &mut PgConnection,
    differences: Vec<Difference>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let reviews: Vec<NewReview> = differences
        .into_iter()
        .map(|difference| NewReview {
            area: AREA,
            kind: RECORDS_DIFFER,
            subject: difference.subject,
            about: difference.dealer.map_or(Subject::NOBODY, Subject::dealer),
            summary: difference.summary,
            evidence: Evidence {
                ours: difference.ours,
                theirs: difference.theirs,
            },
            actions: ACKNOWLEDGE_ACTIONS,
        })
        .collect();
    Ok(review::open_all(connection, &reviews, now).await?)
}

/// What the reconciliation had found about a payment or a reversal has settled by itself.
pub(crate) async fn records_agree(
    connection: &mut PgConnection,
    payment: &BillingPaymentId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let subject = subject_of_payment(payment);
    review::settle(connection, AREA, RECORDS_DIFFER, &subject, reason, now).await?;
    Ok(())
}

pub(crate) fn subject_of_bill(bill: BillId) -> String {
    format!("bill-{bill}")
}

pub(crate) fn subject_of_payment(payment: &BillingPaymentId) -> String {
    format!("payment-{payment}")
}

fn subject_of_account(dealer: DealerId, account_type: AccountType) -> String {
    format!("account-{dealer}-{account_type}")
}

/// The account that a review is about.
pub(crate) fn account_of(subject: &str) -> Option<(DealerId, AccountType)> {
    let (dealer, account_type) = subject.strip_prefix("account-")?.split_once('-')?;
    Some((dealer.parse().ok()?, account_type.parse().ok()?))
}
