//! The kinds of notifications: their names, where they go, and the fields of their templates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A kind of notification. Its name is the type of the event that it is made of, which is stable; apps know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Kind {
    /// A deposit or withdrawal has arrived.
    MoneyFlowSucceeded,
    /// A deposit or withdrawal did not go through, or came back.
    MoneyFlowFailed,
    /// Deposits are suspended, because the bank took one back.
    DepositsSuspended,
    /// Deposits are possible again.
    DepositsResumed,
    /// The identity check has come to another status.
    KycStatusChanged,
    /// A commission was paid.
    CommissionCharged,
    /// A commission was given back, or a part of it.
    CommissionRefunded,
    /// A commission could not be charged.
    CommissionChargeFailed,
    /// The bank wants the payment of a commission confirmed.
    CommissionConfirmationRequired,
    /// A price was paid on the payment page.
    CheckoutPaid,
    /// Buying is suspended.
    TradingSuspended,
    /// Buying is possible again.
    TradingResumed,
    /// A portfolio was rebalanced.
    CollectionVersionCompleted,
    /// A portfolio could not be rebalanced.
    CollectionVersionFailed,
    /// A bank wants its customer to sign in again.
    BankAccountNeedsReauth,
    /// A withdrawal from a funded account was approved.
    WithdrawalApproved,
    /// It was paid out.
    WithdrawalCompleted,
    /// It was rejected.
    WithdrawalRejected,
    /// The bank gave its payout back, and another bank account is asked for.
    WithdrawalReturned,
    /// It could not be paid.
    WithdrawalFailed,
    /// A funded account is close to a limit.
    FundedAccountWarned,
    /// A rule has closed a funded account.
    FundedAccountClosed,
}

/// Where notifications of a kind go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// Into the feed. What isn't there is nowhere: pushes and mails are of an item of the feed.
    pub feed: bool,
    /// To the phones.
    pub push: bool,
    /// By mail.
    pub mail: bool,
}

const PUSHED: Channels = Channels {
    feed: true,
    push: true,
    mail: false,
};
const MAILED: Channels = Channels { mail: true, ..PUSHED };
/// For somebody without a feed, whose items are kept for the mail alone.
pub(crate) const MAIL_ONLY: Channels = Channels {
    push: false,
    ..MAILED
};
/// A receipt: nobody has to look at it now.
const RECEIPT: Channels = Channels {
    push: false,
    ..MAILED
};

impl Kind {
    /// All kinds, in the order in which preferences list them.
    pub const ALL: [Self; 22] = [
        Self::MoneyFlowSucceeded,
        Self::MoneyFlowFailed,
        Self::DepositsSuspended,
        Self::DepositsResumed,
        Self::KycStatusChanged,
        Self::CommissionCharged,
        Self::CommissionRefunded,
        Self::CommissionChargeFailed,
        Self::CommissionConfirmationRequired,
        Self::CheckoutPaid,
        Self::TradingSuspended,
        Self::TradingResumed,
        Self::CollectionVersionCompleted,
        Self::CollectionVersionFailed,
        Self::BankAccountNeedsReauth,
        Self::WithdrawalApproved,
        Self::WithdrawalCompleted,
        Self::WithdrawalRejected,
        Self::WithdrawalReturned,
        Self::WithdrawalFailed,
        Self::FundedAccountWarned,
        Self::FundedAccountClosed,
    ];

    /// Its name, which is its event's type; whether it can't be switched off in the feed; its default channels.
    const fn rules(self) -> (&'static str, bool, Channels) {
        match self {
            Self::MoneyFlowSucceeded => ("money-flow.succeeded", false, PUSHED),
            Self::MoneyFlowFailed => ("money-flow.failed", false, PUSHED),
            Self::DepositsSuspended => ("deposits.suspended", false, MAILED),
            Self::DepositsResumed => ("deposits.resumed", false, MAILED),
            Self::KycStatusChanged => ("kyc.status-changed", true, MAILED),
            Self::CommissionCharged => ("commission.charged", false, RECEIPT),
            Self::CommissionRefunded => ("commission.refunded", false, RECEIPT),
            Self::CommissionChargeFailed => ("commission.charge-failed", true, MAILED),
            Self::CommissionConfirmationRequired => ("commission.confirmation-required", true, MAILED),
            Self::CheckoutPaid => ("checkout.paid", false, RECEIPT),
            Self::TradingSuspended => ("trading.suspended", false, MAILED),
            Self::TradingResumed => ("trading.resumed", false, MAILED),
            Self::CollectionVersionCompleted => ("collection-version.completed", false, PUSHED),
            Self::CollectionVersionFailed => ("collection-version.failed", false, PUSHED),
            Self::BankAccountNeedsReauth => ("bank-account.needs-reauth", false, MAILED),
            Self::WithdrawalApproved => ("withdrawal.approved", false, PUSHED),
            Self::WithdrawalCompleted => ("withdrawal.completed", false, PUSHED),
            Self::WithdrawalRejected => ("withdrawal.rejected", false, PUSHED),
            Self::WithdrawalReturned => ("withdrawal.returned", false, MAILED),
            Self::WithdrawalFailed => ("withdrawal.failed", false, MAILED),
            Self::FundedAccountWarned => ("funded-account.warned", false, PUSHED),
            Self::FundedAccountClosed => ("funded-account.closed", false, MAILED),
        }
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.rules().0
    }

    /// Whether it can't be switched off in the feed: errors of charges, and the identity check.
    pub const fn feed_is_fixed(self) -> bool {
        self.rules().1
    }

    /// Where it goes unless the profile chooses otherwise.
    pub const fn default_channels(self) -> Channels {
        self.rules().2
    }

    /// Where it goes for a profile that has chosen these.
    pub fn channels(self, chosen: &BTreeMap<Self, Channels>) -> Channels {
        let channels = chosen.get(&self).copied().unwrap_or(self.default_channels());
        Channels {
            feed: channels.feed || self.feed_is_fixed(),
            ..channels
        }
    }

    /// The kind of a name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The fields that its templates may name.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::MoneyFlowSucceeded | Self::MoneyFlowFailed => &["direction", "amount"],
            Self::DepositsSuspended => &["amount"],
            Self::DepositsResumed | Self::CollectionVersionCompleted => &[],
            Self::KycStatusChanged => &["status"],
            Self::CommissionCharged => &[
                "amount",
                "period_start",
                "period_end",
                "payment_method",
                "charged_on",
            ],
            Self::CommissionRefunded => &[
                "amount",
                "period_start",
                "period_end",
                "payment_method",
                "refunded_on",
            ],
            Self::CommissionChargeFailed => &[
                "amount",
                "period_start",
                "period_end",
                "payment_method",
                "reason",
                "next_attempt_on",
                "action_url",
            ],
            Self::CommissionConfirmationRequired => {
                &["amount", "payment_method", "confirm_until", "action_url"]
            }
            Self::CheckoutPaid => &["amount"],
            Self::TradingSuspended | Self::TradingResumed => &["amount", "action_url"],
            Self::CollectionVersionFailed => &["reason"],
            Self::BankAccountNeedsReauth => &["name"],
            Self::WithdrawalApproved
            | Self::WithdrawalCompleted
            | Self::WithdrawalRejected
            | Self::WithdrawalReturned
            | Self::WithdrawalFailed => &["amount", "reason"],
            Self::FundedAccountWarned | Self::FundedAccountClosed => &["rule"],
        }
    }
}

/// There is no kind of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no such kind of notification; GET /notifications/preferences lists them")]
pub struct UnknownKind;

impl TryFrom<String> for Kind {
    type Error = UnknownKind;

    fn try_from(name: String) -> Result<Self, UnknownKind> {
        Self::parse(&name).ok_or(UnknownKind)
    }
}

impl From<Kind> for &'static str {
    fn from(kind: Kind) -> Self {
        kind.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
        assert_eq!(Kind::parse("invoice.created"), None);
    }

    #[test]
    fn kinds_that_ask_for_an_action_and_receipts_are_mailed() {
        let mailed: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| kind.default_channels().mail)
            .map(Kind::name)
            .collect();
        assert_eq!(
            mailed,
            [
                "deposits.suspended",
                "deposits.resumed",
                "kyc.status-changed",
                "commission.charged",
                "commission.refunded",
                "commission.charge-failed",
                "commission.confirmation-required",
                "checkout.paid",
                "trading.suspended",
                "trading.resumed",
                "bank-account.needs-reauth",
                "withdrawal.returned",
                "withdrawal.failed",
                "funded-account.closed",
            ]
        );
        assert!(Kind::ALL.into_iter().all(|kind| kind.default_channels().feed));
    }
}
