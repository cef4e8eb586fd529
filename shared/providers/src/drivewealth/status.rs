//! DriveWealth's statuses, mapped in this one place.

use domain::trading::account::AccountStatus;
use domain::trading::payment::PaymentStatus;

/// What a payment's status number means. -1 ("Unknown") and any number not listed says nothing: the payment
/// stays as it is and is looked up again.
pub fn payment_status(code: i32) -> PaymentStatus {
    match code {
        // Started, Pending, Other, On Hold, Processing
        0 | 1 | 4 | 16 | 17 => PaymentStatus::Waiting,
        // RIA_Pending
        11 => PaymentStatus::AwaitingApproval,
        // RIA_Approved, Approved
        12 | 14 => PaymentStatus::Approved,
        // Successful
        2 => PaymentStatus::Successful,
        // Failed, RIA_Rejected, Rejected
        3 | 13 | 15 => PaymentStatus::Failed,
        // Returned
        5 => PaymentStatus::Returned,
        other => PaymentStatus::Unrecognised(other),
    }
}

/// The number behind a status's name, for responses that leave the number out. Spelling varies between REST and events.
pub(super) fn payment_code(name: &str) -> Option<i32> {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(match name.to_ascii_lowercase().as_str() {
        "started" => 0,
        "pending" => 1,
        "successful" => 2,
        "failed" => 3,
        "other" => 4,
        "returned" => 5,
        "riapending" => 11,
        "riaapproved" => 12,
        "riarejected" => 13,
        "approved" => 14,
        "rejected" => 15,
        "onhold" => 16,
        "processing" => 17,
        "unknown" => -1,
        _ => return None,
    })
}

/// An account's status by its name.
pub(super) fn account_status(name: &str) -> AccountStatus {
    match name {
        "PENDING" => AccountStatus::Pending,
        "OPEN" => AccountStatus::Open,
        "OPEN_NO_NEW_TRADES" => AccountStatus::OpenNoNewTrades,
        "FROZEN" => AccountStatus::Frozen,
        "CLOSED" => AccountStatus::Closed,
        other => AccountStatus::Unrecognised(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_number_has_its_meaning() {
        let meaning = [
            (0, PaymentStatus::Waiting),
            (1, PaymentStatus::Waiting),
            (2, PaymentStatus::Successful),
            (3, PaymentStatus::Failed),
            (4, PaymentStatus::Waiting),
            (5, PaymentStatus::Returned),
            (11, PaymentStatus::AwaitingApproval),
            (12, PaymentStatus::Approved),
            (13, PaymentStatus::Failed),
            (14, PaymentStatus::Approved),
            (15, PaymentStatus::Failed),
            (16, PaymentStatus::Waiting),
            (17, PaymentStatus::Waiting),
            (-1, PaymentStatus::Unrecognised(-1)),
            (99, PaymentStatus::Unrecognised(99)),
        ];
        for (code, status) in meaning {
            assert_eq!(payment_status(code), status, "{code}");
        }
    }

    #[test]
    fn names_are_read_in_every_spelling() {
        for (name, code) in [
            ("Successful", 2),
            ("RETURNED", 5),
            ("RIA_Pending", 11),
            ("On Hold", 16),
        ] {
            assert_eq!(payment_code(name), Some(code));
        }
        assert_eq!(payment_code("Sideways"), None);
    }
}
