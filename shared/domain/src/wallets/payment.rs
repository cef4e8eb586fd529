//! Payments: their types, and the statuses through which a withdrawal goes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::transition::{Code, Transition};

/// What a payment is. The numbers are the stored ones (seed 003, `payment_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentType {
    /// Money that the client brings in.
    Recharge,
    /// Money that the client takes out.
    Withdraw,
    /// Money between two wallets.
    Transfer,
}

/// Where a payment stands. The numbers are the stored ones (seed 003, `payment_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// A withdrawal that has left the balance and isn't settled.
    Pending,
    /// It counts for good.
    Done,
    /// A withdrawal that didn't succeed; the money is back in the balance.
    Failed,
}

/// How a withdrawal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// The money has left.
    Done,
    /// The money hasn't left, and is given back.
    Failed,
}

/// The withdrawal was settled the other way before.
pub const SETTLED_OTHERWISE: Code = Code::new("withdrawal_settled_otherwise");

impl PaymentType {
    /// Every type.
    pub const ALL: [PaymentType; 3] = [
        PaymentType::Recharge,
        PaymentType::Withdraw,
        PaymentType::Transfer,
    ];

    /// The stored number.
    pub const fn number(self) -> i16 {
        match self {
            PaymentType::Recharge => 1,
            PaymentType::Withdraw => 2,
            PaymentType::Transfer => 3,
        }
    }

    /// The type of a stored number.
    pub fn from_number(number: i16) -> Option<PaymentType> {
        PaymentType::ALL.into_iter().find(|one| one.number() == number)
    }

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            PaymentType::Recharge => "recharge",
            PaymentType::Withdraw => "withdraw",
            PaymentType::Transfer => "transfer",
        }
    }
}

impl PaymentStatus {
    /// Every status.
    pub const ALL: [PaymentStatus; 3] = [PaymentStatus::Pending, PaymentStatus::Done, PaymentStatus::Failed];

    /// The stored number.
    pub const fn number(self) -> i16 {
        match self {
            PaymentStatus::Pending => 1,
            PaymentStatus::Done => 2,
            PaymentStatus::Failed => 3,
        }
    }

    /// The status of a stored number.
    pub fn from_number(number: i16) -> Option<PaymentStatus> {
        PaymentStatus::ALL.into_iter().find(|one| one.number() == number)
    }

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            PaymentStatus::Pending => "pending",
            PaymentStatus::Done => "done",
            PaymentStatus::Failed => "failed",
        }
    }

    /// What a settlement makes of a withdrawal of this status.
    pub fn settled(self, settlement: Settlement) -> Transition<PaymentStatus> {
        let end = match settlement {
            Settlement::Done => PaymentStatus::Done,
            Settlement::Failed => PaymentStatus::Failed,
        };
        match self {
            PaymentStatus::Pending => Transition::Applied(end),
            now if now == end => Transition::AlreadyApplied,
            PaymentStatus::Done | PaymentStatus::Failed => Transition::rejected(SETTLED_OTHERWISE),
        }
    }
}

impl fmt::Display for PaymentType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for PaymentStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_is_settled_once() {
        use PaymentStatus::{Done, Failed, Pending};
        assert_eq!(Pending.settled(Settlement::Done), Transition::Applied(Done));
        assert_eq!(Pending.settled(Settlement::Failed), Transition::Applied(Failed));
        assert_eq!(Done.settled(Settlement::Done), Transition::AlreadyApplied);
        assert_eq!(Failed.settled(Settlement::Failed), Transition::AlreadyApplied);
        assert_eq!(
            Done.settled(Settlement::Failed),
            Transition::rejected(SETTLED_OTHERWISE)
        );
        assert_eq!(
            Failed.settled(Settlement::Done),
            Transition::rejected(SETTLED_OTHERWISE)
        );
    }

    #[test]
    fn numbers_and_names_read_back() {
        for one in PaymentType::ALL {
            assert_eq!(PaymentType::from_number(one.number()), Some(one));
            assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{one}\""));
        }
        for one in PaymentStatus::ALL {
            assert_eq!(PaymentStatus::from_number(one.number()), Some(one));
            assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{one}\""));
        }
        assert_eq!(PaymentType::from_number(4), None);
        assert_eq!(PaymentStatus::from_number(0), None);
    }
}
