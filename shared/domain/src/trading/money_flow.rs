//! Money flow: a deposit (amount above zero) or withdrawal (below zero) of a trading account.

use thiserror::Error;

use crate::money::{Money, MoneyError};
use crate::stored::{named_enum, stored_as_text};
use crate::trading::payment::PaymentStatus;
use crate::transition::{Code, Transition};

named_enum! {
    /// Which way the money goes.
    pub enum Direction {
        /// From the bank into the trading account.
        Deposit = "deposit",
        /// From the trading account to the bank.
        Withdrawal = "withdrawal",
    }
}

stored_as_text!(Direction);

impl Direction {
    /// The direction of a signed amount of minor units.
    pub const fn of(signed_minor: i64) -> Direction {
        if signed_minor < 0 {
            Direction::Withdrawal
        } else {
            Direction::Deposit
        }
    }
}

named_enum! {
    /// State of a money flow.
    ///
    /// A managed account's redemption goes approved → pending → approved → success, so the way is not monotone; a
    /// success can still be returned by the bank.
    pub enum MoneyFlowStatus {
        /// Requested.
        Pending = "pending",
        /// Approved by the broker; the money is on its way.
        Approved = "approved",
        /// The money has arrived.
        Success = "success",
        /// The money did not move, or was sent back.
        Failed = "failed",
    }
}

stored_as_text!(MoneyFlowStatus);

/// The flow has failed; only another flow can move its money.
pub const HAS_FAILED: Code = Code::new("money_flow_has_failed");
/// A success ends only by a return.
pub const HAS_SUCCEEDED: Code = Code::new("money_flow_has_succeeded");
/// The broker's status is not known to us.
pub const UNRECOGNISED_STATUS: Code = Code::new("payment_status_unrecognised");

impl MoneyFlowStatus {
    /// Whether the flow is still on its way.
    pub const fn is_open(self) -> bool {
        matches!(self, MoneyFlowStatus::Pending | MoneyFlowStatus::Approved)
    }

    /// The status of a flow whose payment has this one; `None` for a status that isn't documented.
    pub const fn of_payment(payment: PaymentStatus) -> Option<MoneyFlowStatus> {
        match payment {
            PaymentStatus::Waiting | PaymentStatus::AwaitingApproval => Some(MoneyFlowStatus::Pending),
            PaymentStatus::Approved => Some(MoneyFlowStatus::Approved),
            PaymentStatus::Successful => Some(MoneyFlowStatus::Success),
            PaymentStatus::Failed | PaymentStatus::Returned => Some(MoneyFlowStatus::Failed),
            PaymentStatus::Unrecognised(_) => None,
        }
    }

    /// The flow's status after a status of its payment.
    pub fn after(self, payment: PaymentStatus) -> Transition<MoneyFlowStatus> {
        use MoneyFlowStatus::{Failed, Success};
        let Some(reported) = MoneyFlowStatus::of_payment(payment) else {
            return Transition::rejected(UNRECOGNISED_STATUS);
        };
        match (self, reported) {
            (Success, Failed) if payment != PaymentStatus::Returned => Transition::rejected(HAS_SUCCEEDED),
            (Success, Failed) => Transition::Applied(Failed),
            (Success, _) => Transition::AlreadyApplied,
            (before, reported) if before == reported => Transition::AlreadyApplied,
            (Failed, _) => Transition::rejected(HAS_FAILED),
            (_, reported) => Transition::Applied(reported),
        }
    }
}

named_enum! {
    /// What is known of the call that asks the broker to move the money.
    pub enum ProviderState {
        /// Written down; the broker is not known to have been called yet.
        Intended = "intended",
        /// The broker was called; its response was lost.
        Unknown = "unknown",
        /// The broker has it, under an id of its own.
        Accepted = "accepted",
        /// The broker refused.
        Declined = "declined",
        /// It needs manual review: the outcome stayed unknown, or the broker contradicts our record or itself.
        Parked = "parked",
    }
}

stored_as_text!(ProviderState);

impl ProviderState {
    /// Whether the broker has to be called (again) under the same idempotency key.
    pub const fn needs_call(self) -> bool {
        matches!(self, ProviderState::Intended | ProviderState::Unknown)
    }
}

/// What follows from a change of a flow's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// An event says that it succeeded.
    pub succeeded: bool,
    /// An event says that it failed.
    pub failed: bool,
    /// The account's cash is another now.
    pub cash_changed: bool,
    /// The profile makes no deposits until a person has looked at it: its bank took money back.
    pub suspend_deposits: bool,
}

/// What follows when a flow in `direction` went from `before` to `after` by a status of its payment.
pub fn consequences(
    direction: Direction,
    before: MoneyFlowStatus,
    after: MoneyFlowStatus,
    payment: PaymentStatus,
) -> Consequences {
    let succeeded = after == MoneyFlowStatus::Success && before != after;
    let failed = after == MoneyFlowStatus::Failed && before != after;
    Consequences {
        succeeded,
        failed,
        cash_changed: succeeded || (failed && before == MoneyFlowStatus::Success),
        suspend_deposits: failed && suspends_deposits(direction, payment),
    }
}

/// Whether a payment that comes to stand like this suspends the profile's deposits, whatever its flow makes of it: the
/// bank has taken money back.
pub fn suspends_deposits(direction: Direction, payment: PaymentStatus) -> bool {
    direction == Direction::Deposit && payment == PaymentStatus::Returned
}

/// Why an amount is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountRefusal {
    /// Zero or below.
    #[error("has to be above zero")]
    NotPositive,
    /// Above the limit for one flow.
    #[error("is above the limit of {limit} for one request")]
    AboveLimit {
        /// The most that is accepted.
        limit: Money,
    },
    /// More than there is.
    #[error("is more than the {available} available")]
    NotEnough {
        /// What there is.
        available: Money,
    },
    /// The arithmetic doesn't work out.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Checks the amount of a request against the limit of one flow.
///
/// # Errors
/// [`AmountRefusal::NotPositive`] or [`AmountRefusal::AboveLimit`].
pub fn check_amount(amount: Money, limit: Money) -> Result<(), AmountRefusal> {
    if !amount.is_positive() {
        return Err(AmountRefusal::NotPositive);
    }
    if amount.cmp_same(&limit)?.is_gt() {
        return Err(AmountRefusal::AboveLimit { limit });
    }
    Ok(())
}

/// Checks that `amount` is covered by `funds` less what is `reserved` for others.
///
/// # Errors
/// [`AmountRefusal::NotEnough`] with what is left.
pub fn check_cover(amount: Money, funds: Money, reserved: Money) -> Result<(), AmountRefusal> {
    let left = funds.checked_sub(reserved)?;
    if amount.cmp_same(&left)?.is_le() {
        return Ok(());
    }
    let available = if left.is_negative() {
        Money::zero(left.currency())
    } else {
        left
    };
    Err(AmountRefusal::NotEnough { available })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::currency::Currency;

    fn walk(path: &[PaymentStatus]) -> MoneyFlowStatus {
        path.iter().fold(MoneyFlowStatus::Pending, |status, payment| {
            status.after(*payment).applied().unwrap_or(status)
        })
    }

    #[test]
    fn a_managed_redemption_takes_its_crooked_way() {
        use PaymentStatus::{Approved, AwaitingApproval, Successful, Waiting};
        assert_eq!(
            walk(&[AwaitingApproval, Approved, Waiting]),
            MoneyFlowStatus::Pending
        );
        assert_eq!(
            walk(&[AwaitingApproval, Approved, Waiting, Approved, Successful]),
            MoneyFlowStatus::Success
        );
    }

    #[test]
    fn a_success_ends_by_a_return_alone() {
        let success = MoneyFlowStatus::Success;
        assert_eq!(
            success.after(PaymentStatus::Returned),
            Transition::Applied(MoneyFlowStatus::Failed)
        );
        assert_eq!(
            success.after(PaymentStatus::Failed),
            Transition::rejected(HAS_SUCCEEDED)
        );
        for late in [
            PaymentStatus::Waiting,
            PaymentStatus::Approved,
            PaymentStatus::Successful,
        ] {
            assert_eq!(success.after(late), Transition::AlreadyApplied);
        }
    }

    #[test]
    fn a_failed_flow_stays_failed() {
        for payment in [
            PaymentStatus::Waiting,
            PaymentStatus::Approved,
            PaymentStatus::Successful,
        ] {
            assert_eq!(
                MoneyFlowStatus::Failed.after(payment),
                Transition::rejected(HAS_FAILED)
            );
        }
    }

    #[test]
    fn a_flow_agrees_with_the_payment_that_brought_it_here() {
        for payment in [
            PaymentStatus::Waiting,
            PaymentStatus::AwaitingApproval,
            PaymentStatus::Approved,
            PaymentStatus::Successful,
            PaymentStatus::Failed,
            PaymentStatus::Returned,
        ] {
            assert_eq!(
                Some(walk(&[payment])),
                MoneyFlowStatus::of_payment(payment),
                "{payment:?}"
            );
        }
        assert_eq!(MoneyFlowStatus::of_payment(PaymentStatus::Unrecognised(99)), None);
    }

    #[test]
    fn a_return_suspends_deposits_whatever_the_flow_was_before() {
        assert!(suspends_deposits(Direction::Deposit, PaymentStatus::Returned));
        assert!(!suspends_deposits(Direction::Withdrawal, PaymentStatus::Returned));
        assert!(!suspends_deposits(Direction::Deposit, PaymentStatus::Failed));
    }

    #[test]
    fn an_unknown_status_moves_nothing() {
        for status in MoneyFlowStatus::ALL {
            assert_eq!(
                status.after(PaymentStatus::Unrecognised(99)),
                Transition::rejected(UNRECOGNISED_STATUS)
            );
        }
    }

    #[test]
    fn a_returned_deposit_suspends_deposits_and_a_returned_withdrawal_does_not() {
        let of = |direction| {
            consequences(
                direction,
                MoneyFlowStatus::Success,
                MoneyFlowStatus::Failed,
                PaymentStatus::Returned,
            )
        };
        assert!(of(Direction::Deposit).suspend_deposits && of(Direction::Deposit).cash_changed);
        assert!(!of(Direction::Withdrawal).suspend_deposits && of(Direction::Withdrawal).cash_changed);
        let declined = consequences(
            Direction::Deposit,
            MoneyFlowStatus::Pending,
            MoneyFlowStatus::Failed,
            PaymentStatus::Failed,
        );
        assert!(declined.failed && !declined.suspend_deposits && !declined.cash_changed);
    }

    #[test]
    fn amounts_are_checked_to_the_cent() {
        let usd = |minor| Money::new(minor, Currency::USD);
        assert_eq!(check_amount(usd(0), usd(100)), Err(AmountRefusal::NotPositive));
        assert_eq!(check_amount(usd(-1), usd(100)), Err(AmountRefusal::NotPositive));
        assert_eq!(check_amount(usd(100), usd(100)), Ok(()));
        assert_eq!(
            check_amount(usd(101), usd(100)),
            Err(AmountRefusal::AboveLimit { limit: usd(100) })
        );
        assert_eq!(check_cover(usd(60), usd(100), usd(40)), Ok(()));
        assert_eq!(
            check_cover(usd(61), usd(100), usd(40)),
            Err(AmountRefusal::NotEnough { available: usd(60) })
        );
        assert_eq!(
            check_cover(usd(1), usd(10), usd(40)),
            Err(AmountRefusal::NotEnough { available: usd(0) })
        );
        assert!(check_cover(usd(1), usd(i64::MIN), usd(1)).is_err());
    }

    #[test]
    fn names_read_back() {
        for status in MoneyFlowStatus::ALL {
            assert_eq!(MoneyFlowStatus::parse(status.name()), Some(status));
        }
        assert_eq!(MoneyFlowStatus::parse("PENDING"), None);
        assert_eq!(ProviderState::parse("unknown"), Some(ProviderState::Unknown));
    }
}
