//! Payments: their types, and the statuses through which a withdrawal goes.

use crate::stored::{UnknownNumber, named_enum, stored_as};
use crate::transition::{Code, Transition};

named_enum! {
    /// A kind of payment. Stored as its number, which other systems know too.
    pub enum PaymentType {
        /// Money that the client brings in.
        Recharge = "recharge",
        /// Money that the client takes out.
        Withdraw = "withdraw",
        /// Money between two wallets.
        Transfer = "transfer",
    }
}

named_enum! {
    /// The status of a payment. Stored as its number, which other systems know too.
    pub enum PaymentStatus {
        /// A withdrawal that has left the balance and isn't settled.
        Pending = "pending",
        /// It counts for good.
        Done = "done",
        /// A withdrawal that didn't succeed; the money is back in the balance.
        Failed = "failed",
    }
}

named_enum! {
    /// How a withdrawal ends.
    pub enum WithdrawalOutcome {
        /// The money has left.
        Done = "done",
        /// The money hasn't left, and is given back.
        Failed = "failed",
    }
}

stored_as!(
    PaymentType,
    i16,
    |kind: &PaymentType| kind.number(),
    PaymentType::try_from
);
stored_as!(
    PaymentStatus,
    i16,
    |status: &PaymentStatus| status.number(),
    PaymentStatus::try_from
);

/// The withdrawal was settled the other way before.
pub const SETTLED_OTHERWISE: Code = Code::new("withdrawal_settled_otherwise");

impl PaymentType {
    /// The stored number.
    pub const fn number(self) -> i16 {
        match self {
            PaymentType::Recharge => 1,
            PaymentType::Withdraw => 2,
            PaymentType::Transfer => 3,
        }
    }
}

impl PaymentStatus {
    /// The stored number.
    pub const fn number(self) -> i16 {
        match self {
            PaymentStatus::Pending => 1,
            PaymentStatus::Done => 2,
            PaymentStatus::Failed => 3,
        }
    }

    /// What a settlement makes of a withdrawal of this status.
    pub fn after_settlement(self, outcome: WithdrawalOutcome) -> Transition<PaymentStatus> {
        let end = match outcome {
            WithdrawalOutcome::Done => PaymentStatus::Done,
            WithdrawalOutcome::Failed => PaymentStatus::Failed,
        };
        match self {
            PaymentStatus::Pending => Transition::Applied(end),
            now if now == end => Transition::AlreadyApplied,
            PaymentStatus::Done | PaymentStatus::Failed => Transition::rejected(SETTLED_OTHERWISE),
        }
    }
}

impl TryFrom<i16> for PaymentType {
    type Error = UnknownNumber;

    /// Reads a stored number.
    fn try_from(number: i16) -> Result<PaymentType, UnknownNumber> {
        let found = PaymentType::ALL.into_iter().find(|one| one.number() == number);
        found.ok_or(UnknownNumber { of: "PaymentType" })
    }
}

impl TryFrom<i16> for PaymentStatus {
    type Error = UnknownNumber;

    /// Reads a stored number.
    fn try_from(number: i16) -> Result<PaymentStatus, UnknownNumber> {
        let found = PaymentStatus::ALL.into_iter().find(|one| one.number() == number);
        found.ok_or(UnknownNumber { of: "PaymentStatus" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_is_settled_once() {
        use PaymentStatus::{Done, Failed, Pending};
        assert_eq!(
            Pending.after_settlement(WithdrawalOutcome::Done),
            Transition::Applied(Done)
        );
        assert_eq!(
            Pending.after_settlement(WithdrawalOutcome::Failed),
            Transition::Applied(Failed)
        );
        assert_eq!(
            Done.after_settlement(WithdrawalOutcome::Done),
            Transition::AlreadyApplied
        );
        assert_eq!(
            Failed.after_settlement(WithdrawalOutcome::Failed),
            Transition::AlreadyApplied
        );
        assert_eq!(
            Done.after_settlement(WithdrawalOutcome::Failed),
            Transition::rejected(SETTLED_OTHERWISE)
        );
        assert_eq!(
            Failed.after_settlement(WithdrawalOutcome::Done),
            Transition::rejected(SETTLED_OTHERWISE)
        );
    }

    #[test]
    fn numbers_and_names_read_back() {
        for one in PaymentType::ALL {
            assert_eq!(PaymentType::try_from(one.number()), Ok(one));
            assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{one}\""));
        }
        for one in PaymentStatus::ALL {
            assert_eq!(PaymentStatus::try_from(one.number()), Ok(one));
            assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{one}\""));
        }
        assert!(PaymentType::try_from(4).is_err());
        assert!(PaymentStatus::try_from(0).is_err());
    }
}
