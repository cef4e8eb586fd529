//! The Stripe sandbox's state. Ids grow with time, so a map's order is that in which its objects were made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::cards::Decline;
use super::connect::state::Connect;
use super::params::Metadata;

/// The signing secret of webhooks at the first start.
const FIRST_WEBHOOK_SECRET: &str = "whsec_local_5f0d9c2b7e4a4c6f9a1d3e8b";

/// The prices that exist from the beginning: id, product, amount in US cents.
const FIRST_PRICES: [(&str, &str, i64); 3] = [
    ("price_card_proof", "prod_card_proof", 100),
    ("price_basic", "prod_basic", 1_000),
    ("price_premium", "prod_premium", 2_500),
];

/// Everything, as it is kept on disk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) customers: BTreeMap<String, Customer>,
    pub(super) prices: BTreeMap<String, Price>,
    pub(super) methods: BTreeMap<String, PaymentMethod>,
    pub(super) sessions: BTreeMap<String, CheckoutSession>,
    pub(super) setups: BTreeMap<String, SetupIntent>,
    pub(super) intents: BTreeMap<String, PaymentIntent>,
    pub(super) charges: BTreeMap<String, Charge>,
    pub(super) refunds: BTreeMap<String, Refund>,
    pub(super) disputes: BTreeMap<String, Dispute>,
    pub(super) events: BTreeMap<String, Event>,
    /// Idempotency keys and the first reply under each.
    pub(super) keys: BTreeMap<String, StoredReply>,
    pub(super) secrets: Vec<SigningSecret>,
    pub(super) connect: Connect,
}

impl Default for State {
    fn default() -> Self {
        let price = |(id, product, amount): (&str, &str, i64)| {
            let price = Price {
                id: id.to_owned(),
                product: product.to_owned(),
                amount,
                currency: "usd".to_owned(),
            };
            (id.to_owned(), price)
        };
        let secret = SigningSecret {
            secret: FIRST_WEBHOOK_SECRET.to_owned(),
            until: None,
        };
        Self {
            customers: BTreeMap::new(),
            prices: FIRST_PRICES.into_iter().map(price).collect(),
            methods: BTreeMap::new(),
            sessions: BTreeMap::new(),
            setups: BTreeMap::new(),
            intents: BTreeMap::new(),
            charges: BTreeMap::new(),
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            events: BTreeMap::new(),
            keys: BTreeMap::new(),
            secrets: vec![secret],
            connect: Connect::default(),
        }
    }
}

impl State {
    /// The charge of an intent that went through.
    pub(super) fn charge_of(&self, intent: &str) -> Option<&Charge> {
        let mut charges = self.charges.values();
        charges.find(|charge| charge.payment_intent == intent && charge.status == ChargeStatus::Succeeded)
    }

    /// The secrets that sign at this time, the newest first.
    pub(super) fn signing_secrets(&self, now: i64) -> Vec<String> {
        let active = |secret: &&SigningSecret| secret.until.is_none_or(|until| now < until);
        let active = self.secrets.iter().rev().filter(active);
        active.map(|secret| secret.secret.clone()).collect()
    }
}

/// A new id: Stripe's prefix and a number that grows with time.
pub(super) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Its id, `cus_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
}

/// A price that a checkout session can sell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Its id, `price_…`.
    pub id: String,
    /// The id of what is sold, `prod_…`.
    pub product: String,
    /// The amount of one, in minor units.
    pub amount: i64,
    /// The currency, in small letters.
    pub currency: String,
}

/// A saved or used card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// Its id, `pm_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The customer it is attached to.
    pub customer: Option<String>,
    /// The number of Stripe's test card.
    pub number: String,
    /// The month it expires in, from 1.
    pub exp_month: i64,
    /// The year it expires in.
    pub exp_year: i64,
    /// The cardholder's name.
    pub name: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
    /// Whether the customer has set it up for charges in their absence.
    pub set_up: bool,
    /// Whether it can't be used any more: it was detached, or used once without a customer.
    pub spent: bool,
    /// How it behaves instead of its card.
    pub overrides: Overrides,
}

/// How a payment method behaves, instead of what its card does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The decline code of every charge from now on.
    pub decline: Option<String>,
    /// Whether every charge needs the customer; as the card has it when missing.
    pub needs_authentication: Option<bool>,
    /// Whether charges are `processing` until they are settled.
    pub goes_processing: bool,
}

/// The purpose of a checkout session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionMode {
    /// A card is saved.
    Setup,
    /// Something is paid.
    Payment,
}

/// How far a checkout session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// Its page waits for the customer.
    Open,
    /// The customer has done it.
    Complete,
    /// It is too late.
    Expired,
}

/// A checkout session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutSession {
    /// Its id, `cs_test_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
    /// Its purpose.
    pub mode: SessionMode,
    /// How far it is.
    pub status: SessionStatus,
    /// The customer.
    pub customer: Option<String>,
    /// Where the customer goes afterwards.
    pub success_url: String,
    /// Where the customer goes who cancels.
    pub cancel_url: Option<String>,
    /// The caller's own reference.
    pub client_reference_id: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
    /// The ids of prices, and how many of each.
    pub lines: Vec<(String, i64)>,
    /// The sum of the lines in minor units; none in mode `setup`.
    pub amount: Option<i64>,
    /// The currency.
    pub currency: Option<String>,
    /// The metadata of its payment intent.
    pub intent_metadata: Metadata,
    /// The description of its payment intent.
    pub intent_description: Option<String>,
    /// Whether the card is saved by a payment as well.
    pub saves_card: bool,
    /// The setup intent, in mode `setup`.
    pub setup_intent: Option<String>,
    /// The payment intent, in mode `payment`, from the customer's first try on.
    pub payment_intent: Option<String>,
}

/// How far a setup intent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupStatus {
    /// It waits for a card.
    RequiresPaymentMethod,
    /// The card is saved.
    Succeeded,
    /// Its session expired.
    Canceled,
}

/// A setup intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupIntent {
    /// Its id, `seti_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The customer.
    pub customer: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
    /// The card that was saved.
    pub payment_method: Option<String>,
    /// How far it is.
    pub status: SetupStatus,
    /// Why the last card was not saved.
    pub last_error: Option<FailedTry>,
}

/// How far a payment intent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// It waits for a payment method: there was none, or it failed.
    RequiresPaymentMethod,
    /// It waits to be confirmed.
    RequiresConfirmation,
    /// It waits for the customer.
    RequiresAction,
    /// It waits for the bank.
    Processing,
    /// The money was taken.
    Succeeded,
    /// It was canceled.
    Canceled,
}

/// A payment intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentIntent {
    /// Its id, `pi_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The amount in minor units.
    pub amount: i64,
    /// The currency, in small letters.
    pub currency: String,
    /// The customer.
    pub customer: Option<String>,
    /// The payment method; none after a failed try.
    pub payment_method: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
    /// How far it is.
    pub status: IntentStatus,
    /// The newest try.
    pub latest_charge: Option<String>,
    /// Why the last try failed.
    pub last_error: Option<FailedTry>,
    /// Where the customer goes after authentication.
    pub return_url: Option<String>,
    /// Whether the card is kept for charges in the customer's absence.
    pub saves_card: bool,
    /// When it was canceled, in seconds since 1970.
    pub canceled_at: Option<i64>,
    /// Why it was canceled.
    pub cancellation_reason: Option<String>,
    /// The idempotency key it was made under.
    pub idempotency_key: Option<String>,
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTry {
    /// Why.
    pub decline: Decline,
    /// The charge that failed, if it came that far.
    pub charge: Option<String>,
    /// The payment method.
    pub payment_method: String,
}

/// How far a charge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeStatus {
    /// The money was taken.
    Succeeded,
    /// It waits for the bank.
    Pending,
    /// The money was not taken.
    Failed,
}

/// One try to take money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its id, `ch_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The amount in minor units.
    pub amount: i64,
    /// The part of it that was given back.
    pub amount_refunded: i64,
    /// The currency, in small letters.
    pub currency: String,
    /// The customer.
    pub customer: Option<String>,
    /// Its payment intent.
    pub payment_intent: String,
    /// The payment method.
    pub payment_method: String,
    /// The description.
    pub description: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
    /// How far it is.
    pub status: ChargeStatus,
    /// Why it failed.
    pub decline: Option<Decline>,
    /// Whether the customer disputes it.
    pub disputed: bool,
}

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its id, `re_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The amount in minor units.
    pub amount: i64,
    /// The currency, in small letters.
    pub currency: String,
    /// The charge.
    pub charge: String,
    /// The charge's payment intent.
    pub payment_intent: String,
    /// Why.
    pub reason: Option<String>,
    /// Why it didn't reach the customer; none as long as it counts as done.
    pub failure_reason: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
}

/// A charge that the customer disputes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Its id, `du_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The amount in minor units.
    pub amount: i64,
    /// The currency, in small letters.
    pub currency: String,
    /// The charge.
    pub charge: String,
    /// The charge's payment intent.
    pub payment_intent: String,
}

/// An event, with the object as it was then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id, `evt_…`.
    pub id: String,
    /// When it happened, in seconds since 1970.
    pub created: i64,
    /// Its type, such as `payment_intent.succeeded`.
    pub kind: String,
    /// The object.
    pub object: Value,
    /// The changed properties as they were before.
    pub previous_attributes: Option<Value>,
    /// The request that caused it, if it was one of the API.
    pub request: Option<String>,
    /// That request's idempotency key.
    pub idempotency_key: Option<String>,
    /// The connected account that it is about; none for our own.
    #[serde(default)]
    pub account: Option<String>,
    /// How far its delivery is.
    pub delivery: DeliveryStatus,
}

/// How far the delivery of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is not delivered yet.
    Pending,
    /// The endpoint has answered with 2xx.
    Delivered,
    /// The endpoint has refused it too often.
    GivenUp,
    /// The endpoint doesn't want this kind.
    Unwanted,
}

/// The first reply under an idempotency key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredReply {
    pub(super) at: i64,
    /// Method, path and parameters.
    pub(super) request: String,
    pub(super) request_id: String,
    pub(super) status: u16,
    pub(super) body: String,
}

/// A secret that signs webhooks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SigningSecret {
    pub(super) secret: String,
    /// When it signs no more, in seconds since 1970.
    pub(super) until: Option<i64>,
}
