//! The state of a brokerage account, and why nothing may be bought in one.

use std::fmt;

use crate::stored::named_enum;

named_enum! {
    /// Why a profile may buy nothing. Selling and withdrawing it may.
    pub enum BuyingSuspension {
        /// The bank took a deposit back.
        ReturnedDeposit = "returned-deposit",
        /// Commissions are owed.
        CommissionsOwed = "commissions-owed",
    }
}

impl BuyingSuspension {
    /// The reason, if there is one; where there are both it is the one that a person has to end.
    pub fn of(has_returned_deposit: bool, owes_commissions: bool) -> Option<BuyingSuspension> {
        match (has_returned_deposit, owes_commissions) {
            (true, _) => Some(BuyingSuspension::ReturnedDeposit),
            (false, true) => Some(BuyingSuspension::CommissionsOwed),
            (false, false) => None,
        }
    }

    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            BuyingSuspension::ReturnedDeposit => "the bank took a deposit back",
            BuyingSuspension::CommissionsOwed => "commissions are owed",
        }
    }
}

/// State of an account at DriveWealth. What it calls something else is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Applied for, not open yet.
    Pending,
    /// Open for everything.
    Open,
    /// Open, but nothing may be bought or sold.
    OpenNoNewTrades,
    /// Nothing may be done.
    Frozen,
    /// Closed for good.
    Closed,
    /// A state that isn't documented, as DriveWealth wrote it.
    Unrecognised(String),
}

impl AccountStatus {
    /// Reads the state as it is stored.
    pub fn parse(text: &str) -> AccountStatus {
        match text {
            "pending" => AccountStatus::Pending,
            "open" => AccountStatus::Open,
            "open_no_new_trades" => AccountStatus::OpenNoNewTrades,
            "frozen" => AccountStatus::Frozen,
            "closed" => AccountStatus::Closed,
            other => AccountStatus::Unrecognised(other.to_owned()),
        }
    }

    /// Whether money may be paid in.
    pub fn takes_deposits(&self) -> bool {
        matches!(self, AccountStatus::Open)
    }

    /// Whether money may be paid out: an account without new trades still gives its cash back.
    pub fn gives_withdrawals(&self) -> bool {
        matches!(self, AccountStatus::Open | AccountStatus::OpenNoNewTrades)
    }

    /// Whether it is there to be worth something: it was opened, and not closed. A frozen one is, and one in a state that
    /// isn't documented may be.
    pub fn has_balance(&self) -> bool {
        !matches!(self, AccountStatus::Pending | AccountStatus::Closed)
    }
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            AccountStatus::Pending => "pending",
            AccountStatus::Open => "open",
            AccountStatus::OpenNoNewTrades => "open_no_new_trades",
            AccountStatus::Frozen => "frozen",
            AccountStatus::Closed => "closed",
            AccountStatus::Unrecognised(raw) => raw,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returned_deposit_comes_before_owed_commissions() {
        for (has_returned_deposit, owes_commissions, words) in [
            (true, true, Some("the bank took a deposit back")),
            (true, false, Some("the bank took a deposit back")),
            (false, true, Some("commissions are owed")),
            (false, false, None),
        ] {
            let suspension = BuyingSuspension::of(has_returned_deposit, owes_commissions);
            assert_eq!(suspension.map(BuyingSuspension::words), words);
        }
    }

    #[test]
    fn reading_and_writing_agree() {
        for text in [
            "pending",
            "open",
            "open_no_new_trades",
            "frozen",
            "closed",
            "SOMETHING_NEW",
        ] {
            assert_eq!(AccountStatus::parse(text).to_string(), text);
        }
    }

    #[test]
    fn an_account_has_a_balance_from_its_opening_until_it_is_closed() {
        for (text, has_balance) in [
            ("pending", false),
            ("open", true),
            ("open_no_new_trades", true),
            ("frozen", true),
            ("SOMETHING_NEW", true),
            ("closed", false),
        ] {
            assert_eq!(AccountStatus::parse(text).has_balance(), has_balance, "{text}");
        }
    }

    #[test]
    fn only_an_open_account_takes_money_in() {
        assert!(AccountStatus::Open.takes_deposits());
        assert!(!AccountStatus::OpenNoNewTrades.takes_deposits());
        assert!(AccountStatus::OpenNoNewTrades.gives_withdrawals());
        assert!(!AccountStatus::parse("SOMETHING_NEW").gives_withdrawals());
        assert!(!AccountStatus::Frozen.gives_withdrawals());
    }
}
