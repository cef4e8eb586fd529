//! Dealers: accounts of car dealers in the company's Billing, the bills put on them, and the payments that Billing tells on a
//! topic. README.md has the rules.
//!
//! | operation | concept |
//! |---|---|
//! | `register_dealer`, `update_requisite`, `add_fast_buyout`, `get_dealer` | [`dealer`] |
//! | `provision_account` | [`account`] |
//! | `create_bill`, `void_bill`, `get_bill`, `get_bills_by_dealer`, `issue_bill` | [`bill`] |
//! | `apply_bill_payment` | [`payment`] |
//! | `check_fast_buyout` | [`fast_buyout`] |
//! | `reconcile_dealers` | [`reconciliation`] |
//! | `apply_dealers_review` | [`review_decision`] |
//!
//! Beside them: [`distribution`] (which payment pays which part of which bill), [`review`] (what waits for a person) and
//! [`billing`] (Billing's client).
//!
//! Every change of an account's bills and payments is made under the lock of its row; locks are taken in the order dealer,
//! account, review. What is made in Billing has an external id of ours, by which it is found again.

pub mod account;
pub mod bill;
pub mod billing;
pub mod dealer;
pub mod distribution;
pub mod error;
pub mod events;
pub mod fast_buyout;
pub mod payment;
pub mod reconciliation;
pub mod review;
pub mod review_decision;

pub use error::Error;

/// The scope of services that work with dealers.
pub const SCOPE: &str = "dealers";
