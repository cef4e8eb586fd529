//! Bills: what a deal costs a dealer, and where a bill stands.

use rust_decimal::Decimal;

use super::account::AccountType;
use crate::money::{Money, MoneyError, Rounding};
use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

named_enum! {
    /// What a bill is for.
    pub enum BillOperation {
        /// Our commission for a deal.
        GetReward = "GET_REWARD",
        /// The price of a car that was bought for the dealer.
        GetSettlement = "GET_SETTLEMENT",
    }
}

stored_as_text!(BillOperation);

impl BillOperation {
    /// The account that its bills are put on.
    pub const fn account_type(self) -> AccountType {
        match self {
            Self::GetReward => AccountType::Commission,
            Self::GetSettlement => AccountType::Settlement,
        }
    }
}

/// Our commission for a deal: a share of its price, rounded half-even to a kopeck.
///
/// # Errors
/// When it is too large.
pub fn reward(deal_price: Money, rate: Decimal) -> Result<Money, MoneyError> {
    deal_price.times(rate, Rounding::HalfEven)
}

named_enum! {
    /// Where a bill stands for the dealer.
    pub enum BillStatus {
        /// It is written down, and Billing hasn't made it yet.
        Created = "created",
        /// Billing has made it.
        Issued = "issued",
        /// A part is paid.
        PartiallyPaid = "partially_paid",
        /// All is paid.
        Paid = "paid",
        /// It was taken back before anything was paid.
        Voided = "voided",
    }
}

stored_as_text!(BillStatus);

/// What happens to a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillChange {
    /// Billing has made it.
    Issued,
    /// So much of it is paid now, after a payment or a reversal.
    PaidUpTo {
        /// The part that is paid.
        paid: Money,
        /// The whole.
        common: Money,
        /// Whether Billing has made it.
        is_issued: bool,
    },
    /// It is taken back.
    Voided,
}

/// Nothing changes about a bill that was taken back.
pub const BILL_IS_VOIDED: Code = Code::new("bill_is_voided");
/// A bill is taken back only while nothing is paid on it.
pub const BILL_IS_PAID_ON: Code = Code::new("bill_is_paid_on");

impl BillStatus {
    /// What a change makes of the status.
    pub fn after(self, change: BillChange) -> Transition<Self> {
        let next = match (self, change) {
            (Self::Voided, BillChange::Voided | BillChange::Issued) => return Transition::AlreadyApplied,
            (Self::Voided, BillChange::PaidUpTo { .. }) => return Transition::rejected(BILL_IS_VOIDED),
            (Self::PartiallyPaid | Self::Paid, BillChange::Voided) => {
                return Transition::rejected(BILL_IS_PAID_ON);
            }
            (Self::Created | Self::Issued, BillChange::Voided) => Self::Voided,
            (Self::Created, BillChange::Issued) => Self::Issued,
            (_, BillChange::Issued) => return Transition::AlreadyApplied,
            (
                _,
                BillChange::PaidUpTo {
                    paid,
                    common,
                    is_issued,
                },
            ) => match (paid.minor() >= common.minor(), paid.is_positive(), is_issued) {
                (true, ..) => Self::Paid,
                (false, true, _) => Self::PartiallyPaid,
                (false, false, true) => Self::Issued,
                (false, false, false) => Self::Created,
            },
        };
        if next == self {
            Transition::AlreadyApplied
        } else {
            Transition::Applied(next)
        }
    }

    /// Whether something is still to be paid.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Issued | Self::PartiallyPaid)
    }
}

named_enum! {
    /// What Billing knows of a bill.
    pub enum IssuingStatus {
        /// It wasn't asked for it yet.
        Pending = "pending",
        /// It was asked, and nothing is recorded of its answer: it may have made it.
        Unknown = "unknown",
        /// It has made it.
        Issued = "issued",
        /// It has taken it back, or never made it and won't.
        Withdrawn = "withdrawn",
        /// It refuses, or has another in its place: a person has to look.
        Parked = "parked",
    }
}

stored_as_text!(IssuingStatus);

/// What happens between us and Billing about a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuingEvent {
    /// It is about to be asked.
    Asked,
    /// It has the bill.
    Found,
    /// It has taken it back, or has none.
    Withdrawn,
    /// It refused, or has another in its place.
    Refused,
    /// A person has it tried again.
    Resumed {
        /// Whether Billing's id of it is known.
        is_issued: bool,
    },
}

/// What Billing took back doesn't come again.
pub const BILL_IS_WITHDRAWN: Code = Code::new("bill_is_withdrawn");

impl IssuingStatus {
    /// What an event makes of the status.
    pub fn after(self, event: IssuingEvent) -> Transition<Self> {
        match (self, event) {
            (Self::Pending | Self::Unknown, IssuingEvent::Asked) => Transition::Applied(Self::Unknown),
            (Self::Issued, IssuingEvent::Asked | IssuingEvent::Found)
            | (Self::Withdrawn, IssuingEvent::Withdrawn)
            | (Self::Parked, IssuingEvent::Refused) => Transition::AlreadyApplied,
            (Self::Pending | Self::Unknown | Self::Parked, IssuingEvent::Found) => {
                Transition::Applied(Self::Issued)
            }
            (Self::Withdrawn, _) => Transition::rejected(BILL_IS_WITHDRAWN),
            (_, IssuingEvent::Withdrawn) => Transition::Applied(Self::Withdrawn),
            (_, IssuingEvent::Refused) => Transition::Applied(Self::Parked),
            (Self::Parked, IssuingEvent::Resumed { is_issued: true }) => Transition::Applied(Self::Issued),
            // It may have been asked before it was parked.
            (Self::Parked, IssuingEvent::Resumed { is_issued: false }) => Transition::Applied(Self::Unknown),
            (_, IssuingEvent::Resumed { .. }) | (Self::Parked, IssuingEvent::Asked) => {
                Transition::AlreadyApplied
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dealers::kopecks;

    fn paid_up_to(paid: i64, is_issued: bool) -> BillChange {
        BillChange::PaidUpTo {
            paid: kopecks(paid),
            common: kopecks(100),
            is_issued,
        }
    }

    #[test]
    fn a_reward_is_rounded_half_even() {
        let rate = Decimal::new(25, 3);
        for (price, amount) in [(20, 0), (60, 2), (100, 2), (140, 4), (123_456_789, 3_086_420)] {
            assert_eq!(reward(kopecks(price), rate), Ok(kopecks(amount)), "{price}");
        }
    }

    #[test]
    fn a_bill_is_paid_by_parts_and_open_again_after_a_reversal() {
        let mut status = BillStatus::Issued;
        for (paid, next) in [
            (40, BillStatus::PartiallyPaid),
            (100, BillStatus::Paid),
            (60, BillStatus::PartiallyPaid),
            (0, BillStatus::Issued),
        ] {
            status = status.after(paid_up_to(paid, true)).or_current(status).unwrap();
            assert_eq!(status, next);
        }
        assert_eq!(
            BillStatus::Paid.after(paid_up_to(0, false)),
            Transition::Applied(BillStatus::Created)
        );
        assert_eq!(
            BillStatus::Paid.after(paid_up_to(100, true)),
            Transition::AlreadyApplied
        );
    }

    #[test]
    fn a_bill_is_taken_back_only_while_nothing_is_paid() {
        for status in [BillStatus::Created, BillStatus::Issued] {
            assert_eq!(
                status.after(BillChange::Voided),
                Transition::Applied(BillStatus::Voided)
            );
        }
        for status in [BillStatus::PartiallyPaid, BillStatus::Paid] {
            assert_eq!(
                status.after(BillChange::Voided),
                Transition::rejected(BILL_IS_PAID_ON)
            );
        }
        assert_eq!(
            BillStatus::Voided.after(BillChange::Voided),
            Transition::AlreadyApplied
        );
        assert_eq!(
            BillStatus::Voided.after(paid_up_to(1, true)),
            Transition::rejected(BILL_IS_VOIDED)
        );
        assert_eq!(
            BillStatus::Voided.after(BillChange::Issued),
            Transition::AlreadyApplied
        );
    }

    #[test]
    fn an_issued_bill_is_shown_as_such_unless_something_is_paid() {
        assert_eq!(
            BillStatus::Created.after(BillChange::Issued),
            Transition::Applied(BillStatus::Issued)
        );
        for status in [BillStatus::Issued, BillStatus::PartiallyPaid, BillStatus::Paid] {
            assert_eq!(status.after(BillChange::Issued), Transition::AlreadyApplied);
        }
    }

    #[test]
    fn what_billing_took_back_is_not_issued_by_a_late_answer() {
        let withdrawn = IssuingStatus::Unknown.after(IssuingEvent::Withdrawn);
        assert_eq!(withdrawn, Transition::Applied(IssuingStatus::Withdrawn));
        for event in [IssuingEvent::Asked, IssuingEvent::Found, IssuingEvent::Refused] {
            assert_eq!(
                IssuingStatus::Withdrawn.after(event),
                Transition::rejected(BILL_IS_WITHDRAWN)
            );
        }
        let again = IssuingEvent::Resumed { is_issued: false };
        assert_eq!(
            IssuingStatus::Parked.after(again),
            Transition::Applied(IssuingStatus::Unknown)
        );
        assert_eq!(IssuingStatus::Issued.after(again), Transition::AlreadyApplied);
    }
}
