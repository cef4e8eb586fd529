//! Stripe Connect: the accounts of people whom we pay. Stripe asks each for identity, taxes and a bank account on a page of
//! its own; we keep none of it.

mod account;
mod money;
mod objects;
pub mod webhook;

pub use super::call::ACCOUNT_INVALID;
pub use money::OnBehalf;
pub use objects::{
    NewPayee, NewPayout, NewTransfer, OnboardingLink, OnboardingPages, Payee, PayeeBank, Payout, PayoutState,
    Transfer,
};

/// A balance holds too little: ours for a transfer, or what has arrived at a person's account for a payout.
pub const BALANCE_INSUFFICIENT: &str = "balance_insufficient";
/// Stripe pays nobody in the country.
pub const COUNTRY_UNSUPPORTED: &str = "country_unsupported";
