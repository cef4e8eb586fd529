//! A bill in both records.

use domain::dealers::bill::{BillStatus, IssuingStatus};
use domain::dealers::kopecks;
use domain::ids::BillingBillId;
use providers::billing::FoundBill;
use providers::outcome::Decline;
use serde_json::{Value, json};

use super::store::RecordedBill;
use crate::review::{Difference, subject_of_bill};

/// What comes of a comparison.
#[derive(Debug)]
pub(super) enum BillFinding {
    /// Both say the same.
    Agrees,
    /// It was taken back here, and Billing has it open.
    StillOpen(BillingBillId),
    /// They differ.
    Differs(Difference),
}

pub(super) fn compare_bill(bill: &RecordedBill, found: Option<&FoundBill>) -> BillFinding {
    let is_voided = bill.status == BillStatus::Voided;
    let Some(found) = found else {
        return match bill.issuing_status {
            IssuingStatus::Issued => differs(bill, None, "Billing doesn't have it"),
            _ => BillFinding::Agrees,
        };
    };
    if bill.billing_bill_id.as_ref().is_some_and(|id| *id != found.id) {
        return differs(bill, Some(found), "Billing has another one under our external id");
    }
    if found.amount != kopecks(bill.common_sum) {
        return differs(bill, Some(found), "Billing has it with another amount");
    }
    if bill.billing_client_id.as_ref() != Some(&found.client) {
        return differs(bill, Some(found), "Billing has it for another client");
    }
    match (is_voided, found.is_voided) {
        (true, false) => BillFinding::StillOpen(found.id.clone()),
        (false, true) => differs(bill, Some(found), "Billing has taken it back"),
        _ => BillFinding::Agrees,
    }
}

/// A bill that was taken back here, and that Billing refuses to take back.
pub(super) fn not_taken_back(
    bill: &RecordedBill,
    found: Option<&FoundBill>,
    decline: &Decline,
) -> Difference {
    let what = format!(
        "Billing has it open, and refuses to take it back ({})",
        decline.code
    );
    difference(bill, found, &what)
}

fn differs(bill: &RecordedBill, found: Option<&FoundBill>, what: &str) -> BillFinding {
    BillFinding::Differs(difference(bill, found, what))
}

fn difference(bill: &RecordedBill, found: Option<&FoundBill>, what: &str) -> Difference {
    let theirs = found.map_or(Value::Null, |found| {
        json!({
            "id": found.id, "client_id": found.client, "amount": found.amount.minor(), "is_voided": found.is_voided,
        })
    });
    Difference {
        subject: subject_of_bill(bill.id),
        dealer: Some(bill.dealer_id),
        summary: format!("Bill {}: {what}", bill.id),
        ours: json!({
            "id": bill.billing_bill_id, "client_id": bill.billing_client_id, "amount": bill.common_sum,
            "status": bill.status,
        }),
        theirs,
    }
}
