//! The state of a brokerage account.

use std::fmt;

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
