//! Funded accounts: traders who passed an assessment trade the company's capital within rules. `README.md` has the rules.
//!
//! | operation | concept |
//! |---|---|
//! | `put_tier`, `list_tiers` | [`tier`] |
//! | `activate_funded_account` | [`activation`] |
//! | `apply_position_update` | [`live`] |
//! | `persist_state` | [`record`] |
//! | `monitor_rules` | [`consequence`] |
//! | `sweep_funded_accounts` | [`sweep`] |
//! | `list_funded_accounts`, `get_funded_account` | [`account`] |
//! | `get_equity_history` | [`equity`] |
//! | `restore_funded_account` | [`restoration`] |
//! | `request_withdrawal`, `cancel_withdrawal`, `list_withdrawals` | [`withdrawal`] |
//! | `list_pending_withdrawals`, `approve_withdrawal`, `reject_withdrawal` | [`decision`] |
//! | `process_withdrawal` | [`payment`] |
//! | `apply_funded_accounts_review` | [`review_decision`] |
//! | `reconcile_payouts` | [`payout_reconciliation`] |
//! | `get_payout_account`, `create_payout_account_link` | [`payee`] |
//! | `stripe_connect_webhook` | [`stripe_events`] |
//!
//! The live state is one DynamoDB item an account, which `live` alone writes; its stream feeds `record` and `consequence`,
//! and the sweep makes up for what they miss. `saga` finishes or undoes work of several steps.

pub mod account;
pub mod activation;
pub mod consequence;
pub mod decision;
pub mod equity;
pub mod error;
pub mod events;
pub mod live;
pub mod payee;
pub mod payment;
pub mod payout_reconciliation;
mod processor;
pub mod record;
pub mod restoration;
mod review;
pub mod review_decision;
mod saga;
pub mod stripe_events;
pub mod sweep;
pub mod tier;
pub mod withdrawal;

pub use error::Error;
