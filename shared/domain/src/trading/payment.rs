//! The state of a deposit or redemption at the broker.

/// What the broker says of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Started, pending, on hold or in processing.
    Waiting,
    /// A redemption of a managed account waits for our approval.
    AwaitingApproval,
    /// Approved; the money is on its way.
    Approved,
    /// Done.
    Successful,
    /// Not done: failed or rejected.
    Failed,
    /// Sent back by the bank, possibly long after it was successful.
    Returned,
    /// A state whose meaning nobody told us: kept as its number, reported, and moves nothing.
    Unrecognised(i32),
}

impl PaymentStatus {
    /// How final the word is: 0 under way, 1 settled, 2 returned. Answers and events carry times of different
    /// clocks, so a settled payment isn't unsettled by a word that only claims to be newer.
    pub const fn finality(self) -> i16 {
        match self {
            PaymentStatus::Waiting
            | PaymentStatus::AwaitingApproval
            | PaymentStatus::Approved
            | PaymentStatus::Unrecognised(_) => 0,
            PaymentStatus::Successful | PaymentStatus::Failed => 1,
            PaymentStatus::Returned => 2,
        }
    }
}
