//! The rules of trading: money flow between a bank and a trading account, and the portfolio behind it.

pub mod account;
pub mod balance;
pub mod collection;
pub mod kyc;
pub mod money_flow;
pub mod payment;
pub mod portfolio;
