//! The operations of Stripe's API that the sandbox has: those that Moneta calls.

use anyhow::ensure;
use http::Method;

use crate::sandboxes::call::{Call, segments};

/// Name, method and path; `*` is the id.
const OPERATIONS: [(&str, Method, &str); 26] = [
    ("create_customer", Method::POST, "/v1/customers"),
    (
        "list_customer_payment_methods",
        Method::GET,
        "/v1/customers/*/payment_methods",
    ),
    ("retrieve_payment_method", Method::GET, "/v1/payment_methods/*"),
    (
        "detach_payment_method",
        Method::POST,
        "/v1/payment_methods/*/detach",
    ),
    ("create_checkout_session", Method::POST, "/v1/checkout/sessions"),
    (
        "retrieve_checkout_session",
        Method::GET,
        "/v1/checkout/sessions/*",
    ),
    ("retrieve_setup_intent", Method::GET, "/v1/setup_intents/*"),
    ("create_payment_intent", Method::POST, "/v1/payment_intents"),
    ("list_payment_intents", Method::GET, "/v1/payment_intents"),
    ("retrieve_payment_intent", Method::GET, "/v1/payment_intents/*"),
    (
        "cancel_payment_intent",
        Method::POST,
        "/v1/payment_intents/*/cancel",
    ),
    ("create_refund", Method::POST, "/v1/refunds"),
    ("list_refunds", Method::GET, "/v1/refunds"),
    ("create_account", Method::POST, "/v1/accounts"),
    ("list_accounts", Method::GET, "/v1/accounts"),
    ("retrieve_account", Method::GET, "/v1/accounts/*"),
    ("create_account_link", Method::POST, "/v1/account_links"),
    ("create_transfer", Method::POST, "/v1/transfers"),
    ("list_transfers", Method::GET, "/v1/transfers"),
    ("retrieve_transfer", Method::GET, "/v1/transfers/*"),
    (
        "create_transfer_reversal",
        Method::POST,
        "/v1/transfers/*/reversals",
    ),
    ("retrieve_balance", Method::GET, "/v1/balance"),
    ("create_payout", Method::POST, "/v1/payouts"),
    ("list_payouts", Method::GET, "/v1/payouts"),
    ("retrieve_payout", Method::GET, "/v1/payouts/*"),
    ("cancel_payout", Method::POST, "/v1/payouts/*/cancel"),
];

/// The operations that are about one account: that of the header `Stripe-Account`, or without it our own.
const OF_AN_ACCOUNT: [&str; 5] = [
    "retrieve_balance",
    "create_payout",
    "list_payouts",
    "retrieve_payout",
    "cancel_payout",
];

/// The operation that a call is for, and the id in its path.
pub(super) fn operation_of(call: &Call) -> Option<(&'static str, String)> {
    let path = call.segments();
    OPERATIONS.iter().find_map(|(name, method, pattern)| {
        let pattern = segments(pattern);
        let fits = *method == call.method
            && pattern.len() == path.len()
            && pattern
                .iter()
                .zip(&path)
                .all(|(wanted, found)| *wanted == "*" || wanted == found);
        let id = pattern.iter().zip(&path).find(|(wanted, _)| **wanted == "*");
        fits.then(|| (*name, id.map(|(_, id)| (*id).to_owned()).unwrap_or_default()))
    })
}

/// Whether the operation may be called on behalf of a connected account.
pub(super) fn is_of_an_account(operation: &str) -> bool {
    OF_AN_ACCOUNT.contains(&operation)
}

/// The operations' names, for whoever sets faults.
pub(super) fn names() -> [&'static str; OPERATIONS.len()] {
    OPERATIONS.map(|(name, ..)| name)
}

/// Refuses the name of an operation that doesn't exist.
pub(super) fn ensure_known(name: &str) -> anyhow::Result<()> {
    let known = names();
    ensure!(
        known.contains(&name),
        "there is no operation {name}; there are {}",
        known.join(", ")
    );
    Ok(())
}
