//! What a refused charge means: whether the same payment method can still be charged, and what its owner is told.
//!
//! The codes are Stripe's: the decline codes of cards (<https://docs.stripe.com/declines/codes>), and error codes where an
//! error has no decline code (<https://docs.stripe.com/error-codes>). Final are those after which Stripe's own retries
//! give up a method (<https://docs.stripe.com/billing/revenue-recovery/smart-retries>), those whose next step in the table
//! is another method, and those by which the issuer says that it won't.

/// Whether a later attempt with the same payment method can go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeclineKind {
    /// It can: the reason passes, or isn't known.
    Soft,
    /// It can't: the method has to be changed first.
    Hard,
}

/// Whether a refusal is the customer's: of the card, or of a confirmation that failed. Anything else that Stripe refuses is a
/// fault of ours (a parameter, an amount, an account of ours, a customer who isn't there any more), whatever the card.
pub fn is_customers(error_type: &str, code: &str) -> bool {
    error_type == "card_error"
        || matches!(
            code,
            "authentication_required"
                | "payment_intent_authentication_failure"
                | "setup_intent_authentication_failure"
        )
}

/// How final a refusal is. A code that isn't known is soft: attempts are few, and a code that is new may be anything.
pub fn decline_kind(code: &str) -> DeclineKind {
    match code {
        "account_closed"
        | "authentication_not_supported"
        | "bank_account_unusable"
        | "card_not_supported"
        | "currency_not_supported"
        | "debit_not_authorized"
        | "do_not_try_again"
        | "expired_card"
        | "fraudulent"
        | "highest_risk_level"
        | "incorrect_number"
        | "invalid_account"
        | "invalid_expiry_month"
        | "invalid_expiry_year"
        | "invalid_number"
        | "lost_card"
        | "merchant_blacklist"
        | "new_account_information_available"
        | "no_account"
        | "payment_method_currency_mismatch"
        | "payment_method_unactivated"
        | "payment_method_unexpected_state"
        | "pickup_card"
        | "resource_missing"
        | "restricted_card"
        | "revocation_of_all_authorizations"
        | "revocation_of_authorization"
        | "security_violation"
        | "stolen_card"
        | "stop_payment_order"
        | "transaction_not_allowed" => DeclineKind::Hard,
        _ => DeclineKind::Soft,
    }
}

/// Why a charge was refused, as its customer may know it: one of `insufficient_funds`, `expired_card`,
/// `lost_or_stolen_card`, `authentication_required`, `authentication_failed`, `processing_error`, `invalid_account`,
/// `incorrect_card_details`, `limit_exceeded`, `card_declined`. Whoever pays may not be whose card it is, so that Stripe asks
/// not to tell a suspicion: that of fraud is only `card_declined` here, and `lost_or_stolen_card` is for records and is
/// worded for customers like `card_declined`.
pub fn reason(code: &str) -> &'static str {
    match code {
        "insufficient_funds" => "insufficient_funds",
        "expired_card" => "expired_card",
        "lost_card" | "pickup_card" | "stolen_card" => "lost_or_stolen_card",
        "authentication_required" | "mobile_device_authentication_required" => "authentication_required",
        // Ours: the customer let the time for confirming pass.
        "confirmation_expired"
        | "authentication_not_handled"
        | "authentication_not_supported"
        | "payment_intent_authentication_failure"
        | "setup_intent_authentication_failure" => "authentication_failed",
        "approve_with_id"
        | "issuer_not_available"
        | "processing_error"
        | "reenter_transaction"
        | "payment_method_provider_timeout"
        | "try_again_later" => "processing_error",
        "account_closed"
        | "bank_account_unusable"
        | "debit_not_authorized"
        | "invalid_account"
        | "new_account_information_available"
        | "no_account"
        | "payment_method_unexpected_state"
        | "resource_missing" => "invalid_account",
        "incorrect_address"
        | "incorrect_cvc"
        | "incorrect_number"
        | "incorrect_pin"
        | "incorrect_zip"
        | "invalid_cvc"
        | "invalid_expiry_month"
        | "invalid_expiry_year"
        | "invalid_number"
        | "invalid_pin" => "incorrect_card_details",
        "card_decline_rate_limit_exceeded"
        | "card_velocity_exceeded"
        | "pin_try_exceeded"
        | "withdrawal_count_limit_exceeded" => "limit_exceeded",
        _ => "card_declined",
    }
}

/// The reason as customers may know it: nobody is told that a card was reported lost or stolen.
pub fn reason_for_customers(code: &str) -> &'static str {
    match reason(code) {
        "lost_or_stolen_card" => "card_declined",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_not_told_that_a_card_was_reported() {
        for code in ["lost_card", "stolen_card", "pickup_card", "fraudulent"] {
            assert_eq!(reason_for_customers(code), "card_declined", "{code}");
        }
        assert_eq!(reason_for_customers("expired_card"), "expired_card");
    }

    #[test]
    fn only_the_card_and_a_failed_confirmation_are_the_customers() {
        assert!(is_customers("card_error", "card_declined"));
        assert!(is_customers(
            "invalid_request_error",
            "payment_intent_authentication_failure"
        ));
        for code in [
            "amount_too_small",
            "amount_too_large",
            "parameter_unknown",
            "resource_missing",
            "account_invalid",
            "email_invalid",
            "",
        ] {
            assert!(!is_customers("invalid_request_error", code), "{code}");
            assert!(!is_customers("api_error", code), "{code}");
        }
    }

    #[test]
    fn what_stripe_gives_up_itself_is_hard() {
        for code in [
            "highest_risk_level",
            "incorrect_number",
            "lost_card",
            "pickup_card",
            "revocation_of_all_authorizations",
            "revocation_of_authorization",
            "stolen_card",
            "transaction_not_allowed",
        ] {
            assert_eq!(decline_kind(code), DeclineKind::Hard, "{code}");
        }
    }

    #[test]
    fn what_passes_or_is_not_known_is_soft() {
        for code in [
            "authentication_required",
            "call_issuer",
            "card_declined",
            "card_velocity_exceeded",
            "do_not_honor",
            "generic_decline",
            "insufficient_funds",
            "issuer_not_available",
            "processing_error",
            "try_again_later",
            "a_code_of_tomorrow",
            "",
        ] {
            assert_eq!(decline_kind(code), DeclineKind::Soft, "{code}");
        }
    }

    #[test]
    fn customers_are_told_what_they_can_do_something_about() {
        for (code, expected) in [
            ("insufficient_funds", "insufficient_funds"),
            ("expired_card", "expired_card"),
            ("stolen_card", "lost_or_stolen_card"),
            ("authentication_required", "authentication_required"),
            ("payment_intent_authentication_failure", "authentication_failed"),
            ("issuer_not_available", "processing_error"),
            ("invalid_account", "invalid_account"),
            ("incorrect_cvc", "incorrect_card_details"),
            ("card_velocity_exceeded", "limit_exceeded"),
            ("generic_decline", "card_declined"),
            ("a_code_of_tomorrow", "card_declined"),
        ] {
            assert_eq!(reason(code), expected, "{code}");
        }
    }

    #[test]
    fn a_suspicion_of_fraud_is_not_told() {
        for code in ["fraudulent", "merchant_blacklist", "highest_risk_level"] {
            assert_eq!(reason(code), "card_declined");
        }
    }
}
