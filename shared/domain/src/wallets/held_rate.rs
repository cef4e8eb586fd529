//! Rates that are held because they change too much at once, and how that ends.

use super::rates::{ExchangeRate, RateMaxJump};
use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

named_enum! {
    /// What has become of a held rate.
    pub enum HeldRateStatus {
        /// It doesn't count, and waits for a person or the next file.
        Held = "held",
        /// A person has accepted it: it counts.
        Accepted = "accepted",
        /// The next file had it again: that file's counts.
        Repeated = "repeated",
        /// Another rate counts, or is held, that is newer.
        Superseded = "superseded",
        /// A person has refused it.
        Refused = "refused",
    }
}

stored_as_text!(HeldRateStatus);

/// How a held rate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldRateEnd {
    /// A person accepts it.
    Accepted,
    /// The next file has it again.
    Repeated,
    /// A newer rate takes its place.
    Superseded,
    /// A person refuses it.
    Refused,
}

/// It has ended in another way before.
pub const HELD_RATE_HAS_ENDED: Code = Code::new("held_rate_has_ended");

impl HeldRateStatus {
    /// What an end makes of it.
    pub fn after(self, end: HeldRateEnd) -> Transition<HeldRateStatus> {
        let ended = match end {
            HeldRateEnd::Accepted => HeldRateStatus::Accepted,
            HeldRateEnd::Repeated => HeldRateStatus::Repeated,
            HeldRateEnd::Superseded => HeldRateStatus::Superseded,
            HeldRateEnd::Refused => HeldRateStatus::Refused,
        };
        match self {
            HeldRateStatus::Held => Transition::Applied(ended),
            now if now == ended => Transition::AlreadyApplied,
            _ => Transition::rejected(HELD_RATE_HAS_ENDED),
        }
    }
}

impl HeldRateEnd {
    /// How a held rate ends when a newer one comes: one that is near it repeats it.
    pub fn by(newer: ExchangeRate, held: ExchangeRate, max_jump: RateMaxJump) -> HeldRateEnd {
        if max_jump.is_exceeded(held, newer) {
            HeldRateEnd::Superseded
        } else {
            HeldRateEnd::Repeated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    const ENDS: [(HeldRateEnd, HeldRateStatus); 4] = [
        (HeldRateEnd::Accepted, HeldRateStatus::Accepted),
        (HeldRateEnd::Repeated, HeldRateStatus::Repeated),
        (HeldRateEnd::Superseded, HeldRateStatus::Superseded),
        (HeldRateEnd::Refused, HeldRateStatus::Refused),
    ];

    #[test]
    fn a_held_rate_ends_once() {
        for (end, status) in ENDS {
            assert_eq!(HeldRateStatus::Held.after(end), Transition::Applied(status));
            for (other, _) in ENDS {
                let expected = if other == end {
                    Transition::AlreadyApplied
                } else {
                    Transition::rejected(HELD_RATE_HAS_ENDED)
                };
                assert_eq!(status.after(other), expected, "{status} and {other:?}");
            }
        }
    }

    #[test]
    fn a_rate_near_it_repeats_it() {
        let rate = |text: &str| ExchangeRate::new(Rate::parse(text).unwrap()).unwrap();
        let end = |newer: &str| HeldRateEnd::by(rate(newer), rate("10"), "10".parse().unwrap());
        assert_eq!(end("11"), HeldRateEnd::Repeated);
        assert_eq!(end("9"), HeldRateEnd::Repeated);
        assert_eq!(end("11.01"), HeldRateEnd::Superseded);
        assert_eq!(end("1"), HeldRateEnd::Superseded);
    }
}
