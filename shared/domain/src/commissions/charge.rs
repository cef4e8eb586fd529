//! A charge: one attempt to take an invoice's amount from a payment method. The API lists them as `attempts`, the database as
//! `invoice_payments`.

use chrono::{DateTime, Utc};

use crate::ids::InvoiceId;
use crate::market::MarketCalendar;
use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

/// How many days a customer has to confirm a charge that needs it.
const CONFIRMATION_DAYS: u64 = 7;

/// Until when a customer has to confirm a charge that needs it since a time: the first moment of a New York day, on which the
/// daily run closes it.
pub fn confirm_until(since: DateTime<Utc>) -> DateTime<Utc> {
    MarketCalendar::days_after(since, CONFIRMATION_DAYS)
}

named_enum! {
    /// The status of a charge, one attempt of an invoice. As long as its outcome is unknown it is in flight, and there is no other.
    pub enum ChargeStatus {
        /// The intent is written, or the call had no answer: it may have happened.
        Unknown = "unknown",
        /// Stripe has it; its result comes by webhook.
        Processing = "processing",
        /// The customer has to confirm it.
        RequiresAction = "requires_action",
        /// The money was taken.
        Succeeded = "succeeded",
        /// The money was not taken.
        Failed = "failed",
    }
}

stored_as_text!(ChargeStatus);

/// What Stripe says of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StripeChargeState {
    /// On its way.
    Processing,
    /// Waits for the customer.
    RequiresAction,
    /// The money was taken.
    Succeeded,
    /// Declined.
    Failed,
    /// Cancelled before any money was taken.
    Cancelled,
    /// A state that Stripe doesn't document.
    Unrecognised,
}

/// The money was taken; a charge isn't cancelled after that.
pub const CHARGE_HAS_SUCCEEDED: Code = Code::new("charge_has_succeeded");
/// The charge has ended; Stripe refuses nothing of it any more.
pub const CHARGE_HAS_ENDED: Code = Code::new("charge_has_ended");
/// The state is not known to us.
pub const UNRECOGNISED_CHARGE_STATE: Code = Code::new("charge_state_unrecognised");

impl ChargeStatus {
    /// Whether money may still be taken by it.
    pub const fn is_in_flight(self) -> bool {
        matches!(
            self,
            ChargeStatus::Unknown | ChargeStatus::Processing | ChargeStatus::RequiresAction
        )
    }

    /// The attempt's status after the state that Stripe has it in now: whoever hears of an earlier state asks first. Money that
    /// was taken after all always counts.
    pub const fn after(self, reported: StripeChargeState) -> Transition<ChargeStatus> {
        use ChargeStatus::{Failed, Processing, RequiresAction, Succeeded, Unknown};
        match (self, reported) {
            (_, StripeChargeState::Unrecognised) => Transition::rejected(UNRECOGNISED_CHARGE_STATE),
            (Succeeded, StripeChargeState::Cancelled) => Transition::rejected(CHARGE_HAS_SUCCEEDED),
            (Succeeded, _) => Transition::AlreadyApplied,
            (_, StripeChargeState::Succeeded) => Transition::Applied(Succeeded),
            (Failed, _) => Transition::AlreadyApplied,
            (_, StripeChargeState::Failed | StripeChargeState::Cancelled) => Transition::Applied(Failed),
            (Unknown | RequiresAction, StripeChargeState::Processing) => Transition::Applied(Processing),
            // What is reported is how the payment is now, so that a customer who has to confirm it after all is asked.
            (Unknown | Processing, StripeChargeState::RequiresAction) => Transition::Applied(RequiresAction),
            (Processing, StripeChargeState::Processing)
            | (RequiresAction, StripeChargeState::RequiresAction) => Transition::AlreadyApplied,
        }
    }

    /// The attempt's status after Stripe refused it through a fault of ours: what comes of it is open, whatever Stripe was at.
    pub const fn after_refusal(self) -> Transition<ChargeStatus> {
        match self {
            ChargeStatus::Unknown => Transition::AlreadyApplied,
            ChargeStatus::Processing | ChargeStatus::RequiresAction => {
                Transition::Applied(ChargeStatus::Unknown)
            }
            ChargeStatus::Succeeded | ChargeStatus::Failed => Transition::rejected(CHARGE_HAS_ENDED),
        }
    }
}

/// The idempotency key of an attempt, the same whenever it is sent. Attempts of an invoice count from 1.
pub fn idempotency_key(invoice: InvoiceId, attempt: u32) -> String {
    format!("invoice-{invoice}-{attempt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORTED: [StripeChargeState; 5] = [
        StripeChargeState::Processing,
        StripeChargeState::RequiresAction,
        StripeChargeState::Succeeded,
        StripeChargeState::Failed,
        StripeChargeState::Cancelled,
    ];

    #[test]
    fn taken_money_counts_whatever_was_known() {
        for status in ChargeStatus::ALL {
            let after = status.after(StripeChargeState::Succeeded).or_current(status);
            assert_eq!(after, Ok(ChargeStatus::Succeeded), "{status}");
        }
    }

    #[test]
    fn nothing_takes_a_success_back() {
        for reported in REPORTED {
            assert!(
                !ChargeStatus::Succeeded.after(reported).is_applied(),
                "{reported:?}"
            );
        }
    }

    #[test]
    fn the_same_words_in_any_order_end_the_same() {
        let words = [
            StripeChargeState::RequiresAction,
            StripeChargeState::Processing,
            StripeChargeState::Succeeded,
        ];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for order in orders {
            let end = order.iter().fold(ChargeStatus::Unknown, |status, word| {
                status.after(words[*word]).or_current(status).unwrap()
            });
            assert_eq!(end, ChargeStatus::Succeeded, "{order:?}");
        }
    }

    #[test]
    fn an_attempt_in_flight_fails_or_goes_on() {
        use ChargeStatus::{Failed, Processing, RequiresAction, Unknown};
        for status in [Unknown, Processing, RequiresAction] {
            for reported in [StripeChargeState::Failed, StripeChargeState::Cancelled] {
                assert_eq!(status.after(reported), Transition::Applied(Failed));
            }
            assert!(status.after(StripeChargeState::Unrecognised).refusal().is_some());
        }
        assert_eq!(
            Unknown.after(StripeChargeState::RequiresAction),
            Transition::Applied(RequiresAction)
        );
        assert_eq!(
            Processing.after(StripeChargeState::RequiresAction),
            Transition::Applied(RequiresAction)
        );
        assert_eq!(
            Failed.after(StripeChargeState::Processing),
            Transition::AlreadyApplied
        );
    }

    #[test]
    fn a_refusal_of_ours_leaves_open_what_comes_of_a_charge() {
        for status in ChargeStatus::ALL {
            let after = status.after_refusal();
            if status.is_in_flight() {
                assert_eq!(after.or_current(status), Ok(ChargeStatus::Unknown), "{status}");
            } else {
                assert!(after.refusal().is_some(), "{status}");
            }
        }
    }

    #[test]
    fn a_charge_is_confirmed_within_7_days_of_new_york() {
        let until = |since: &str| confirm_until(since.parse().unwrap()).to_rfc3339();
        assert_eq!(until("2026-12-01T12:45:30Z"), "2026-12-08T05:00:00+00:00");
        assert_eq!(until("2026-10-31T12:45:30Z"), "2026-11-07T05:00:00+00:00");
    }

    #[test]
    fn names_are_read_back() {
        for status in ChargeStatus::ALL {
            assert_eq!(ChargeStatus::parse(status.name()), Some(status));
        }
    }

    #[test]
    fn a_key_names_invoice_and_attempt() {
        assert_eq!(idempotency_key(InvoiceId::new(17).unwrap(), 2), "invoice-17-2");
    }
}
