//! Stripe: customers, saved payment methods, charges and refunds.
//!
//! Requests are those of the `async-stripe` crates; the sending, and the reading of what is answered, is our own. Every POST carries an
//! `Idempotency-Key`; Stripe remembers it for [`KEY_MEMORY`] and responds to a repetition with its first response, be it a
//! status of the 500s. What that first response was about may have moved on: [`Stripe::charge`] fetches the payment
//! anew then, while events carry it as it was.

mod answer;
mod call;
pub mod connect;
mod objects;
mod requests;
mod signature;
#[cfg(test)]
mod tests;
pub mod webhook;
mod wire;

use reqwest::Client;
use secrecy::SecretString;
use serde::Deserialize;

use crate::http;

pub use objects::{
    ChargeFailure, ChargeOutcome, ChargeRequest, CheckoutKind, CheckoutLink, CheckoutMode, CheckoutSession,
    IntentPage, IntentStatus, NewCheckout, NewCustomer, PaymentIntent, PaymentMethod, Refund, RefundStatus,
    SetupIntent, SetupStatus,
};

/// How long Stripe remembers an idempotency key, at least. Later the same key charges again: then the payment is looked
/// for first ([`Stripe::find_payment_intent`]).
pub const KEY_MEMORY: chrono::TimeDelta = chrono::TimeDelta::hours(24);
/// There is no such thing, or not any more.
pub const RESOURCE_MISSING: &str = "resource_missing";
/// The address isn't one that Stripe writes to.
pub const EMAIL_INVALID: &str = "email_invalid";
/// The key was used for another request.
pub const IDEMPOTENCY_ERROR: &str = "idempotency_error";
/// The payment has come into a state in which this can't be done to it, for instance because it has succeeded.
pub const INTENT_UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";
/// The charge is refunded already.
pub const ALREADY_REFUNDED: &str = "charge_already_refunded";
/// The amount can't be given to Stripe: its unit of this currency isn't the minor unit. Nothing was sent.
pub const CURRENCY_NOT_SUPPORTED: &str = "currency_not_supported";

/// How to sign in, and what Stripe signs its events with. The secret's JSON has these fields.
#[derive(Debug, Clone, Deserialize)]
pub struct StripeCredentials {
    /// The secret or restricted key of the API.
    pub api_key: SecretString,
    /// The secrets of the webhook endpoint: the one in use, and while secrets are rolled the one before it.
    pub webhook_secrets: Vec<SecretString>,
}

/// The version of the API that requests name, and that the webhook endpoint has to be made with.
pub fn api_version() -> &'static str {
    static OURS: stripe_shared::ApiVersion = stripe_client_core::VERSION;
    OURS.as_str()
}

/// The client.
#[derive(Debug)]
pub struct Stripe {
    http: Client,
    base: String,
    api_key: SecretString,
}

impl Stripe {
    /// A client of the API at `base`, without a slash at its end; the API is at `{base}/v1/…`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: String, credentials: &StripeCredentials) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::client()?,
            base,
            api_key: credentials.api_key.clone(),
        })
    }
}
