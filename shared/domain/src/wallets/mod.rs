//! Wallets: payments between clients, in one or two currencies.

pub mod conversion;
pub mod payment;
pub mod quote;
pub mod rates;
