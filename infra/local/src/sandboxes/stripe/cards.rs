//! Stripe's test cards, and what becomes of them (<https://docs.stripe.com/testing>).

use serde::{Deserialize, Serialize};

/// When a charge needs the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authentication {
    Never,
    /// Unless the card was set up for charges in the customer's absence, and this is one.
    UnlessSetUp,
    /// Whenever the customer is there; in their absence never.
    OnSession,
    Always,
}

/// A test card.
#[derive(Debug)]
pub(super) struct TestCard {
    pub(super) number: &'static str,
    /// The payment method that stands for it in requests.
    pub(super) token: &'static str,
    pub(super) brand: &'static str,
    pub(super) funding: &'static str,
    /// The reason why every charge is declined.
    pub(super) declines: Option<&'static str>,
    /// Whether it can be saved; one that declines usually can't.
    pub(super) attaches: bool,
    pub(super) authentication: Authentication,
    /// Whether the customer disputes every charge.
    pub(super) disputed: bool,
}

impl TestCard {
    /// Its last four digits.
    pub(super) fn last4(&self) -> &'static str {
        let start = self.number.len().saturating_sub(4);
        self.number.get(start..).unwrap_or(self.number)
    }
}

const fn good(
    number: &'static str,
    token: &'static str,
    brand: &'static str,
    funding: &'static str,
) -> TestCard {
    TestCard {
        number,
        token,
        brand,
        funding,
        declines: None,
        attaches: true,
        authentication: Authentication::Never,
        disputed: false,
    }
}

const fn declined(number: &'static str, token: &'static str, reason: &'static str) -> TestCard {
    TestCard {
        declines: Some(reason),
        attaches: false,
        ..good(number, token, "visa", "credit")
    }
}

const fn authenticated(
    number: &'static str,
    token: &'static str,
    authentication: Authentication,
) -> TestCard {
    TestCard {
        authentication,
        ..good(number, token, "visa", "credit")
    }
}

const CARDS: [TestCard; 31] = [
    good("4242424242424242", "pm_card_visa", "visa", "credit"),
    good("4000056655665556", "pm_card_visa_debit", "visa", "debit"),
    good("5555555555554444", "pm_card_mastercard", "mastercard", "credit"),
    good(
        "2223003122003222",
        "pm_card_mastercard_2_series",
        "mastercard",
        "credit",
    ),
    good(
        "5200828282828210",
        "pm_card_mastercard_debit",
        "mastercard",
        "debit",
    ),
    good(
        "5105105105105100",
        "pm_card_mastercard_prepaid",
        "mastercard",
        "prepaid",
    ),
    good("378282246310005", "pm_card_amex", "amex", "credit"),
    good("371449635398431", "pm_card_amex_2", "amex", "credit"),
    good("6011111111111117", "pm_card_discover", "discover", "credit"),
    good("3056930009020004", "pm_card_diners", "diners", "credit"),
    good("3566002020360505", "pm_card_jcb", "jcb", "credit"),
    good("6200000000000005", "pm_card_unionpay", "unionpay", "credit"),
    declined(
        "4000000000000002",
        "pm_card_visa_chargeDeclined",
        "generic_decline",
    ),
    declined(
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "insufficient_funds",
    ),
    declined(
        "4000000000009987",
        "pm_card_visa_chargeDeclinedLostCard",
        "lost_card",
    ),
    declined(
        "4000000000009979",
        "pm_card_visa_chargeDeclinedStolenCard",
        "stolen_card",
    ),
    declined(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        "expired_card",
    ),
    declined(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        "incorrect_cvc",
    ),
    declined(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        "processing_error",
    ),
    declined(
        "4000000000006975",
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "card_velocity_exceeded",
    ),
    declined("4100000000000019", "pm_card_radarBlock", "fraudulent"),
    TestCard {
        attaches: true,
        ..declined(
            "4000000000000341",
            "pm_card_chargeCustomerFail",
            "generic_decline",
        )
    },
    authenticated(
        "4000002500003155",
        "pm_card_authenticationRequiredOnSetup",
        Authentication::UnlessSetUp,
    ),
    authenticated(
        "4000002760003184",
        "pm_card_authenticationRequired",
        Authentication::Always,
    ),
    authenticated(
        "4000000000003220",
        "pm_card_threeDSecure2Required",
        Authentication::Always,
    ),
    authenticated(
        "4000000000003063",
        "pm_card_threeDSecureRequired",
        Authentication::Always,
    ),
    authenticated(
        "4000003800000446",
        "pm_card_authenticationRequiredSetupForOffSession",
        Authentication::OnSession,
    ),
    TestCard {
        attaches: true,
        authentication: Authentication::Always,
        ..declined(
            "4000008260003178",
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
            "insufficient_funds",
        )
    },
    TestCard {
        authentication: Authentication::Always,
        ..declined(
            "4000008400001629",
            "pm_card_threeDSecureRequiredChargeDeclined",
            "generic_decline",
        )
    },
    TestCard {
        disputed: true,
        ..good("4000000000000259", "pm_card_createDispute", "visa", "credit")
    },
    TestCard {
        disputed: true,
        ..good(
            "4000000000002685",
            "pm_card_createDisputeProductNotReceived",
            "visa",
            "credit",
        )
    },
];

/// The test card with the number, in which blanks don't count.
pub(super) fn by_number(number: &str) -> Option<&'static TestCard> {
    let digits: String = number
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    all().find(|card| card.number == digits)
}

/// The test card that the payment method stands for.
pub(super) fn by_token(token: &str) -> Option<&'static TestCard> {
    all().find(|card| card.token == token)
}

fn all() -> impl Iterator<Item = &'static TestCard> {
    static ALL: [TestCard; 31] = CARDS;
    ALL.iter()
}

/// Why a card was declined, as Stripe phrases it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// Stripe's error code: `card_declined`, `expired_card`, `authentication_required`, ….
    pub code: String,
    /// The issuer's reason: `insufficient_funds`, `lost_card`, …; not every code has one.
    pub decline_code: Option<String>,
    /// The sentence for people.
    pub message: String,
}

/// The decline with this reason: a decline code of <https://docs.stripe.com/declines/codes>, or one of the codes that
/// stand alone.
pub(super) fn decline(reason: &str) -> Decline {
    let (code, decline_code, message) = match reason {
        "expired_card" => (reason, None, "Your card has expired."),
        "incorrect_cvc" => (reason, None, "Your card's security code is incorrect."),
        "processing_error" => (
            reason,
            None,
            "An error occurred while processing your card. Try again in a little bit.",
        ),
        "incorrect_number" => (reason, None, "Your card number is incorrect."),
        "authentication_required" => (
            reason,
            Some(reason),
            "Your card was declined. This transaction requires authentication.",
        ),
        "insufficient_funds" => ("card_declined", Some(reason), "Your card has insufficient funds."),
        "card_velocity_exceeded" => (
            "card_declined",
            Some(reason),
            "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
        ),
        _ => ("card_declined", Some(reason), "Your card was declined."),
    };
    Decline {
        code: code.to_owned(),
        decline_code: decline_code.map(str::to_owned),
        message: message.to_owned(),
    }
}

/// The code of a customer who did not authenticate.
pub(super) const FAILED_AUTHENTICATION: &str = "payment_intent_authentication_failure";

/// The failure of a customer who did not authenticate; Stripe doesn't count it among the card errors.
pub(super) fn failed_authentication(code: &str) -> Decline {
    Decline {
        code: code.to_owned(),
        decline_code: None,
        message: "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new \
                  PaymentMethod to attempt to fulfill this PaymentIntent again."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_card_is_found_by_its_number_and_its_token() {
        for card in all() {
            assert_eq!(by_number(card.number).unwrap().token, card.token);
            assert_eq!(by_token(card.token).unwrap().number, card.number);
        }
        let numbers: BTreeSet<_> = all().map(|card| card.number).collect();
        assert_eq!(numbers.len(), CARDS.len());
        assert_eq!(by_number("4242 4242 4242 4242").unwrap().last4(), "4242");
        assert!(by_number("4242424242424241").is_none());
    }
}
