//! Wallets: payments between clients, in one or two currencies.

pub mod conversion;
pub mod held_rate;
pub mod payment;
pub mod quote;
pub mod rates;
pub mod reference_day;
