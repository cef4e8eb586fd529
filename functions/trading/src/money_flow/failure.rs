//! Why a flow has failed: the codes, which are part of the API and of events, and the problems that callers get.

use domain::trading::money_flow::MoneyFlowStatus;
use domain::trading::payment::PaymentStatus;
use platform::http::Problem;
use providers::drivewealth::{BANK_TOKEN_INVALID, DAILY_LIMIT_MESSAGE, is_not_open};
use providers::outcome::Decline;

/// The bank or the broker declined, for no reason that has a code of its own.
pub(super) const DECLINED: &str = "declined-by-bank-or-broker";
/// The bank took the money back.
const RETURNED: &str = "returned-by-bank";
/// The customer has to sign in to the bank again.
pub(super) const NEEDS_SIGN_IN: &str = "bank-account-needs-reauth";
const DAILY_LIMIT: &str = "daily-deposit-limit";
const NOT_OPEN: &str = "trading-account-not-open";

/// Whether a refusal is about the customer, the account or the bank. Any other is a fault of ours or new to us: it is no
/// word about the money that its owner should hear.
pub(super) fn is_about_the_customer(decline: &Decline) -> bool {
    code_of(decline) != DECLINED
}

/// The code of the broker's refusal.
pub(super) fn code_of(decline: &Decline) -> &'static str {
    if decline.message.contains(DAILY_LIMIT_MESSAGE) {
        DAILY_LIMIT
    } else if is_not_open(decline) {
        NOT_OPEN
    } else if decline.code == BANK_TOKEN_INVALID {
        NEEDS_SIGN_IN
    } else {
        DECLINED
    }
}

/// The code of a flow that comes to `status` by its payment; none unless it fails.
pub(super) fn code_of_payment(status: MoneyFlowStatus, payment: PaymentStatus) -> Option<&'static str> {
    match (status, payment) {
        (MoneyFlowStatus::Failed, PaymentStatus::Returned) => Some(RETURNED),
        (MoneyFlowStatus::Failed, _) => Some(DECLINED),
        _ => None,
    }
}

/// The problem for the caller whose request the broker refused.
pub(super) fn problem(code: Option<&str>) -> Problem {
    let (field, detail) = match code {
        Some(DAILY_LIMIT) => (
            "amount_cents",
            "The daily limit for deposits is reached. Try again tomorrow, or with a smaller amount.",
        ),
        Some(NOT_OPEN) => (
            "trading_account_id",
            "The trading account is not open at the broker; please contact support.",
        ),
        Some(NEEDS_SIGN_IN) => (
            "bank_account_id",
            "The bank account needs to be linked again before money can be moved.",
        ),
        _ => (
            "bank_account_id",
            "The bank or the broker declined this. Check the account, or use another one.",
        ),
    };
    Problem::new(422, code.unwrap_or(DECLINED), detail).at(field, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_code_of_its_reason() {
        let code = |code: &str, message: &str| code_of(&Decline::new(code, message, 400));
        let over_limit = format!("Amount {DAILY_LIMIT_MESSAGE} of 50000");
        assert_eq!(code("E032", &over_limit), DAILY_LIMIT);
        assert_eq!(code("E032", "sub-account 7 is not open"), NOT_OPEN);
        assert_eq!(code(BANK_TOKEN_INVALID, "invalid token"), NEEDS_SIGN_IN);
        assert_eq!(code("E999", "no"), DECLINED);
        assert!(is_about_the_customer(&Decline::new(
            "E030",
            "sub-account 7 is not open",
            400
        )));
        assert!(!is_about_the_customer(&Decline::new("E999", "no", 400)));
    }

    #[test]
    fn a_returned_payment_has_a_code_of_its_own_and_an_open_one_has_none() {
        let failed = MoneyFlowStatus::Failed;
        assert_eq!(
            code_of_payment(failed, PaymentStatus::Returned),
            Some("returned-by-bank")
        );
        assert_eq!(
            code_of_payment(failed, PaymentStatus::Failed),
            Some("declined-by-bank-or-broker")
        );
        let approved = MoneyFlowStatus::Approved;
        assert_eq!(code_of_payment(approved, PaymentStatus::Approved), None);
    }

    #[test]
    fn a_problem_names_the_field_that_can_be_changed() {
        for (code, field) in [
            (Some(DAILY_LIMIT), "amount_cents"),
            (Some(NOT_OPEN), "trading_account_id"),
            (Some(NEEDS_SIGN_IN), "bank_account_id"),
            (None, "bank_account_id"),
        ] {
            let problem = problem(code);
            assert_eq!(problem.errors[0].field, field);
            assert_eq!(problem.code, code.unwrap_or(DECLINED));
        }
    }
}
