//! A sandbox of Stripe: customers, checkout sessions with a page, saved cards, payment intents, refunds, and
//! signed webhooks about all of them. The API is below `/stripe/v1`, of the version that async-stripe speaks; the
//! page of a checkout session is `/stripe/pay/{session}`, that of a payment to authenticate
//! `/stripe/authenticate/{intent}`, and that of an account link `/stripe/onboarding/{token}`.
//!
//! Stripe's own test cards and `pm_card_…` payment methods decide what happens (<https://docs.stripe.com/testing>).
//! Operations that Moneta doesn't call and parameters that the sandbox doesn't know are refused.
//!
//! # Idempotency keys
//!
//! The first reply under a key is kept for 24 hours and repeated, declines and server errors too; not so refusals of
//! the request itself (400, 401, 404, 409, 429). A server error by the fault `fail_after` was done and by `refuse` not,
//! and is repeated in both cases; the one by `gateway` comes from a proxy on the way, and so the key answers with
//! what was done.
//!
//! # By curl
//!
//! Everything a test can do, a person can do under `/control/stripe` (`/stripe/control` is the same), with JSON bodies:
//!
//! | route | body | what it does |
//! |---|---|---|
//! | `GET /` | | everything it holds, how webhooks are sent, and the operations' names |
//! | `POST prices` | `{"id":"price_x","amount":1000,"currency":"usd"}` | makes a price, or changes it |
//! | `POST checkout/{id}/complete` | `{"number":"4242424242424242"}` | the customer sends the session's page |
//! | `POST checkout/{id}/expire` | | the session expires |
//! | `POST intents/{id}/authenticate` | `{"succeeds":true}` | the customer authenticates the payment, or fails to |
//! | `POST intents/{id}/settle` | `{"succeeds":true}` | the bank ends a payment that is `processing` |
//! | `POST intents/{id}/refund` | | the payment is refunded in Stripe's dashboard |
//! | `POST refunds/{id}/fail` | `{"failure_reason":"lost_or_stolen_card"}` | the bank gives the refund back |
//! | `POST intents/{id}/dispute` | | the customer disputes the payment |
//! | `POST methods/{id}/decline` | `{"decline_code":"insufficient_funds"}` | every charge declines from now on; null heals it |
//! | `POST methods/{id}/authentication` | `{"needed":true}` | every charge needs the customer, or none; null is as the card has it |
//! | `POST methods/{id}/processing` | `{"on":true}` | every charge is `processing` first |
//! | `POST methods/{id}/expiry` | `{"exp_month":4,"exp_year":2030}` | the bank has renewed the card |
//! | `POST methods/{id}/detach` | | the card is removed in Stripe's dashboard |
//! | `POST accounts/{id}/onboard` | `{"number":"000123456789"}` | the person sends the onboarding's page with this bank account |
//! | `POST accounts/{id}/restrict` | `{"disabled_reason":"under_review","currently_due":["…"]}` | Stripe wants something more, or stops the account; null and none heal it |
//! | `POST accounts/{id}/revoke` | | the person disconnects the account from ours |
//! | `POST payouts/{id}/fail` | `{"failure_code":"account_closed"}` | the bank gives a payout back, also days after it was paid |
//! | `POST payouts/{id}/advance` | | a payout that is held goes one step on: `in_transit`, then its end |
//! | `POST balance` | `{"available":0}` | what we have at Stripe, in cents of USD |
//! | `POST connect` | `{"hold_payouts":true,"transfers_arrive_after_s":60}` | payouts wait for `advance`; transfers become available later |
//! | `DELETE idempotency-keys/{key}` | | the key is forgotten, as after 24 hours |
//! | `POST webhooks` | `{"endpoint":"http://…","wanted":["charge.refunded"],"repeat":1,"delay_ms":0,"hold":true}` | changes what is given |
//! | `GET webhooks/held` | | the events held back |
//! | `POST webhooks/release` | `{"order":"newest_first"}` | sends them: `oldest_first`, `newest_first`, `shuffled`, `{"exactly":["evt_…"]}` |
//! | `POST webhooks/drop` | | forgets the events held back |
//! | `POST webhooks/rotate` | | a new signing secret; the present ones sign for another day |
//! | `GET webhooks/deliveries` | | what was sent, and the endpoint's answers |
//! | `POST events/{id}/redeliver` | | sends an event once more |
//! | `POST sign` | `{"payload":"…","secret":"…","timestamp":1790000000}` | the header `Stripe-Signature` for a payload |
//! | `GET`, `POST`, `DELETE faults` | [`Fault`](super::Fault), by `operation` (`create_payment_intent`) or `method` and `path` | the ways of failing |
//! | `GET`, `DELETE calls` | | what was called |

mod api;
mod cards;
mod checkout;
mod connect;
mod control;
mod customers;
mod defaults;
mod errors;
mod handle;
mod intents;
mod operations;
mod page;
mod params;
mod refunds;
mod render;
mod state;
#[cfg(test)]
mod tests;
mod webhooks;
mod work;

pub use cards::Decline;
pub use connect::{
    BankAccount, ConnectedAccount, OnboardingLink, Payout, PayoutStatus, Transfer, TransferReversal,
};
pub use params::Metadata;
pub use state::{
    Charge, ChargeStatus, CheckoutSession, Customer, DeliveryStatus, Dispute, Event, FailedTry, IntentStatus,
    Overrides, PaymentIntent, PaymentMethod, Price, Refund, SessionMode, SessionStatus, SetupIntent,
    SetupStatus,
};
pub use webhooks::{ReleaseOrder, WebhookDelivery, WebhookModes};

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::sandbox::Sandbox;
use crate::clock::LocalClock;
use crate::keys;
use state::State;
use webhooks::Webhooks;
use work::Work;

/// A handle of the Stripe sandbox.
pub type StripeSandbox = Sandbox<Live, Outside>;

/// Its state, and the requests that are under way.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Live {
    state: State,
    /// The idempotency keys of the requests that are being worked on.
    #[serde(skip)]
    in_use: BTreeSet<String>,
}

/// Its address, and the way to the webhook endpoint.
#[derive(Debug)]
pub struct Outside {
    /// Where its pages are below.
    base: String,
    webhooks: Webhooks,
}

impl StripeSandbox {
    /// Starts with the state in the file, if one is given; its pages are below the base.
    pub(super) fn start(base: String, file: Option<PathBuf>, clock: LocalClock) -> anyhow::Result<Self> {
        let webhooks = Webhooks::start()?;
        Self::open(file, clock, Outside { base, webhooks })
    }

    /// The secret that a function gets: the API key and what signs webhooks.
    pub(super) fn secret(&self) -> String {
        json!({ "api_key": keys::STRIPE_API_KEY, "webhook_secrets": self.webhook_secrets() }).to_string()
    }

    /// The secret of the functions that pay connected accounts: the API key and what signs the events of those accounts.
    pub(super) fn connect_secret(&self) -> String {
        json!({ "api_key": keys::STRIPE_API_KEY, "webhook_secrets": [connect::WEBHOOK_SECRET] }).to_string()
    }

    /// Sends no more webhooks, and keeps the last state.
    pub(super) fn stop(&self) {
        self.webhooks().change_modes(|modes| {
            modes.endpoint = None;
            modes.connect_endpoint = None;
        });
        self.close();
    }

    fn webhooks(&self) -> &Webhooks {
        &self.extra().webhooks
    }

    /// Seconds since 1970.
    fn now(&self) -> i64 {
        self.time().timestamp()
    }

    /// Changes the state, and sends the events about it.
    fn work<T>(&self, change: impl FnOnce(&mut Work<'_>) -> T) -> T {
        let mut live = self.lock();
        let mut work = Work {
            state: &mut live.state,
            base: &self.extra().base,
            now: self.now(),
            request_id: None,
            idempotency_key: None,
            account: None,
            forced_decline: None,
            events: Vec::new(),
        };
        let done = change(&mut work);
        let events = work.events;
        self.webhooks().offer(&self.downgrade(), &mut live.state, &events);
        self.changed();
        done
    }

    /// Writes down how far an event's delivery is; what was delivered once stays so.
    fn set_delivery(&self, event: &str, delivery: DeliveryStatus) {
        if let Some(event) = self.lock().state.events.get_mut(event)
            && event.delivery != DeliveryStatus::Delivered
        {
            event.delivery = delivery;
            self.changed();
        }
    }
}
