//! Wallets: what clients hold in several currencies, and what they pay each other. Everything is keyed by client, so
//! that clients can be spread over many database nodes (`SCALING.md`).
//!
//! | operation | use case |
//! |---|---|
//! | `register_client`, `open_wallet`, `get_wallets` | [`clients`] |
//! | `recharge_wallet` | [`recharge`] |
//! | `withdraw_from_wallet`, `settle_withdrawal` | [`withdrawal`] |
//! | `transfer`, `transfer_batch` | [`transfer`] |
//! | `list_payments` | [`payments`] |
//! | `get_statement` | [`statement`] |
//! | `set_exchange_rate` | [`rates`] |
//! | `refresh_exchange_rates` | [`rate_refresh`] |
//! | `reconcile_wallets` | [`reconcile`] |

pub mod access;
pub mod answer;
pub mod batch_answer;
pub mod batch_request;
pub mod clients;
pub mod error;
pub mod events;
pub mod payments;
pub mod rate_refresh;
pub mod rates;
pub mod recharge;
pub mod reconcile;
mod request;
pub mod statement;
mod store;
pub mod transfer;
pub mod withdrawal;

pub use error::Error;
