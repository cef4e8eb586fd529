//! Wallets: payments between clients, in one or two currencies. Spec "Wallets", seed 003.

pub mod conversion;
pub mod payment;
