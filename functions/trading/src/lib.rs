//! Trading: money between bank and trading account, and what the broker tells of it.
//!
//! | operation | use case |
//! |---|---|
//! | `deposit_funds`, `withdraw_funds` | [`money_flow`] |
//! | `list_money_flow_history` | [`history`] |
//! | `get_trading_profile` | [`profile`] |
//! | `apply_drivewealth_event` | [`drivewealth_events`] |
//! | `on_cash_changed` | [`cash_change`] |
//! | `reconcile_trading` | [`reconcile`] |
//! | `update_account_balances`, `update_account_balance` | [`balances`] |

mod account_state;
pub mod answer;
pub mod balances;
pub mod broker;
pub mod cash_change;
pub mod drivewealth_events;
pub mod error;
pub mod events;
mod flow_state;
pub mod history;
pub mod money_flow;
pub mod profile;
pub mod reconcile;
pub mod settlement;
mod store;

pub use error::Error;
