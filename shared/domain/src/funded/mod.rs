//! Funded accounts: what a trader may lose before his account is closed, and what of the profit he may take.
//!
//! Everything is measured on a series that withdrawals never touch: `balance` is the starting balance and all realised
//! profit and loss, `equity` is the balance and the open profit and loss. So no withdrawal changes the value of a rule.
//!
//! | module | holds |
//! |---|---|
//! | [`share`] | shares, and time zones of days |
//! | [`thresholds`] | what an account is held to, from its tier |
//! | [`snapshot`] | what the trading engine says of an account at a moment |
//! | [`rules`] | the rules: a value, its threshold, and what that means |
//! | [`live`] | the live state: how a snapshot changes it, in whatever order snapshots come |
//! | [`withdrawable`] | what of the profit can be withdrawn |
//! | [`payee`] | whether a trader can be paid |
//! | [`withdrawal`] | a withdrawal's life, when it is allowed, and who approves it |
//! | [`saga`] | work of several steps that is finished or undone |

pub mod live;
pub mod payee;
pub mod rules;
pub mod saga;
pub mod share;
pub mod snapshot;
pub mod thresholds;
pub mod withdrawable;
pub mod withdrawal;

use crate::stored::{named_enum, stored_as_text};

named_enum! {
    /// Whether an account is traded.
    pub enum FundedAccountStatus {
        /// It is.
        Active = "active",
        /// A rule has closed it.
        Closed = "closed",
    }
}

stored_as_text!(FundedAccountStatus);
