//! Trading: money between a customer's bank and trading account, and what the broker says of both. The rules are in this
//! package's README.md.
//!
//! | operation | concept | use case |
//! |---|---|---|
//! | `deposit_funds` | [`money_flow`] | [`money_flow::Deposits`] |
//! | `withdraw_funds` | [`money_flow`] | [`money_flow::Withdrawals`] |
//! | `list_money_flow_history` | [`money_flow`] | [`money_flow::MoneyFlowHistory`] |
//! | `get_trading_profile` | [`account`] | [`account::TradingProfiles`] |
//! | `update_account_balances` | [`balance`] | [`balance::DailyBalances`] |
//! | `update_account_balance` | [`balance`] | [`balance::AccountBalances`] |
//! | `on_cash_changed` | [`portfolio`] | [`portfolio::CashChanges`] |
//! | `apply_drivewealth_event` | [`drivewealth_events`] | [`drivewealth_events::DriveWealthEvents`] |
//! | `reconcile_trading` | [`reconciliation`] | [`reconciliation::Reconciler`] |
//! | `apply_trading_review` | [`review_decision`] | [`review_decision::TradingReviewer`] |
//!
//! Providers: [`broker`] is DriveWealth, [`bank_account`] reaches a bank through Plaid.
//!
//! Times come from the instance's clock. The clocks of instances are kept together by NTP, to some milliseconds; README,
//! Time, says what that much of a difference can do.

pub mod account;
pub mod balance;
pub mod bank_account;
pub mod broker;
pub mod drivewealth_events;
pub mod error;
pub mod events;
pub mod money_flow;
pub mod portfolio;
pub mod reconciliation;
pub mod review;
pub mod review_decision;

pub use error::Error;
