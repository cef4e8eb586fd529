//! Stripe's objects as far as we read them. The generated types hold each other, all that an object may name, and reading them
//! was more than a third of a function.

use std::collections::HashMap;

use serde::Deserialize;

/// An object where it was asked for, otherwise its id.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Expandable<T = Named> {
    Id(String),
    Object(Box<T>),
}

/// What has an id.
pub(super) trait Identified {
    fn id(&self) -> &str;
}

impl<T: Identified> Expandable<T> {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(object) => object.id(),
        }
    }

    pub(super) fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

/// Any object of which only the id is read.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: i64,
    pub(super) amount_received: i64,
    pub(super) currency: String,
    pub(super) customer: Option<Expandable>,
    pub(super) payment_method: Option<Expandable>,
    pub(super) metadata: HashMap<String, String>,
    pub(super) last_payment_error: Option<ApiError>,
    pub(super) client_secret: Option<String>,
    pub(super) latest_charge: Option<Expandable>,
    pub(super) created: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) code: Option<String>,
    pub(super) decline_code: Option<String>,
    pub(super) advice_code: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentMethod {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) customer: Option<Expandable>,
    pub(super) card: Option<Card>,
    pub(super) us_bank_account: Option<UsBankAccount>,
    pub(super) created: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Card {
    pub(super) brand: String,
    pub(super) last4: String,
    pub(super) exp_month: i64,
    pub(super) exp_year: i64,
    pub(super) fingerprint: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UsBankAccount {
    pub(super) bank_name: Option<String>,
    pub(super) last4: Option<String>,
    pub(super) fingerprint: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SetupIntent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) customer: Option<Expandable>,
    pub(super) payment_method: Option<Expandable<PaymentMethod>>,
    pub(super) metadata: Option<HashMap<String, String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckoutSession {
    pub(super) id: String,
    pub(super) mode: String,
    pub(super) status: Option<String>,
    pub(super) payment_status: String,
    pub(super) customer: Option<Expandable>,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) setup_intent: Option<Expandable<SetupIntent>>,
    pub(super) payment_intent: Option<Expandable>,
    pub(super) amount_total: Option<i64>,
    pub(super) currency: Option<String>,
    pub(super) url: Option<String>,
    pub(super) expires_at: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) status: Option<String>,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) payment_intent: Option<Expandable>,
    pub(super) failure_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Charge {
    pub(super) payment_intent: Option<Expandable>,
    pub(super) amount_refunded: i64,
    pub(super) currency: String,
    pub(super) refunded: bool,
    pub(super) metadata: Option<HashMap<String, String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) payment_intent: Option<Expandable>,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) reason: String,
    pub(super) status: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Payout {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) failure_code: Option<String>,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) arrival_date: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Transfer {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) amount_reversed: i64,
    pub(super) currency: String,
    pub(super) reversed: bool,
    pub(super) destination: Option<Expandable>,
    pub(super) metadata: HashMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Balance {
    pub(super) available: Vec<BalanceAmount>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BalanceAmount {
    pub(super) amount: i64,
    pub(super) currency: String,
}

/// The account of a person whom we pay.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) payouts_enabled: Option<bool>,
    pub(super) capabilities: Option<Capabilities>,
    pub(super) requirements: Option<Requirements>,
    pub(super) settings: Option<AccountSettings>,
    pub(super) external_accounts: Option<List<ExternalAccount>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Capabilities {
    pub(super) transfers: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Requirements {
    pub(super) disabled_reason: Option<String>,
    pub(super) currently_due: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AccountSettings {
    pub(super) payouts: Option<PayoutSettings>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PayoutSettings {
    pub(super) schedule: PayoutSchedule,
}

#[derive(Debug, Deserialize)]
pub(super) struct PayoutSchedule {
    pub(super) interval: String,
}

/// A card or a bank account that an account is paid to.
#[derive(Debug, Deserialize)]
pub(super) struct ExternalAccount {
    pub(super) id: String,
    pub(super) object: String,
    pub(super) last4: String,
    pub(super) default_for_currency: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AccountLink {
    pub(super) url: String,
    pub(super) expires_at: i64,
}

impl Identified for Named {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for PaymentMethod {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for SetupIntent {
    fn id(&self) -> &str {
        &self.id
    }
}
