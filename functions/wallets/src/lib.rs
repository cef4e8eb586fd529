//! Wallets: what clients hold in several currencies, and what they pay each other. `README.md` has the rules. Everything
//! is keyed by client, so that clients can be spread over many database nodes (`SCALING.md`).
//!
//! | operation | concept |
//! |---|---|
//! | `register_client`, `open_wallet`, `get_wallets` | [`client`] |
//! | `recharge_wallet`, `withdraw_from_wallet`, `settle_withdrawal` | [`movement`] |
//! | `transfer`, `transfer_batch` | [`transfer`] |
//! | `settle_transfers` | [`transfer_order`] |
//! | `get_payment`, `list_payments` | [`payment`] |
//! | `get_statement` | [`statement`] |
//! | `get_quote` | [`quote`] |
//! | `get_exchange_rate`, `set_exchange_rate`, `refresh_exchange_rates` | [`rate`] |
//! | `apply_wallets_review` | [`review_decision`] |
//! | `reconcile_wallets` | [`reconciliation`] |
//!
//! `placement` says on which node a client lives. `payment_request` stores the idempotency keys of whatever makes a payment, beside the payments. `held_rate` keeps rates
//! that change too much at once, and `review` opens what waits for a person.

pub mod client;
mod currency_number;
pub mod error;
pub mod events;
mod held_rate;
pub mod movement;
pub mod payment;
mod payment_request;
mod placement;
pub mod quote;
pub mod rate;
pub mod reconciliation;
mod review;
pub mod review_decision;
pub mod statement;
pub mod transfer;
pub mod transfer_order;

pub use error::Error;
