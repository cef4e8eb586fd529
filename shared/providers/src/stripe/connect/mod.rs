//! Stripe Connect: the accounts of people whom we pay. Stripe asks each for identity, taxes and a bank account on a page of
//! its own; we keep none of it.

mod account;
mod objects;
pub mod webhook;

pub use objects::{NewPayee, OnboardingLink, OnboardingPages, Payee, PayeeBank};

/// The account isn't connected to ours, or not any more.
pub const ACCOUNT_INVALID: &str = "account_invalid";
/// Stripe pays nobody in the country.
pub const COUNTRY_UNSUPPORTED: &str = "country_unsupported";
