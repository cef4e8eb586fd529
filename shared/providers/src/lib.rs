//! The outside parties that Moneta speaks to: one client each.
//!
//! A client hides its party's wire format, retries within the deadline it is given, and gives every call an
//! [`outcome::Outcome`]: done, declined, retryable, or unknown. It decides nothing and stores nothing.

pub mod appsync;
pub mod billing;
pub mod drivewealth;
pub mod ecb;
mod exact;
pub mod firebase;
mod http;
mod jwt;
mod kept;
pub mod mail;
pub mod outcome;
pub mod plaid;
pub mod sms;
#[cfg(feature = "stripe")]
pub mod stripe;
