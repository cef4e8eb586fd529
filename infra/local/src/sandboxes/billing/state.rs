//! What Billing holds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that Billing holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    counter: u64,
    pub(super) clients: BTreeMap<String, ClientObject>,
    pub(super) payers: BTreeMap<String, PayerObject>,
    pub(super) contracts: BTreeMap<String, ContractObject>,
    pub(super) bills: BTreeMap<String, BillObject>,
    pub(super) payments: Vec<Payment>,
    pub(super) holds_messages: bool,
    pub(super) repeats: u32,
    pub(super) held: Vec<Payment>,
}

impl State {
    /// The next id of a kind; later ones sort behind it.
    pub(super) fn next_id(&mut self, kind: &str) -> String {
        self.counter += 1;
        format!("{kind}-{:08}", self.counter)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientObject {
    pub(super) id: String,
    pub(super) external_id: String,
    /// The body that made it.
    pub(super) made_of: Value,
    pub(super) name: String,
    pub(super) legal_form: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayerObject {
    pub(super) id: String,
    pub(super) external_id: String,
    pub(super) made_of: Value,
    pub(super) client_id: String,
    /// Its numbers, bank account and address, as they were last written.
    pub(super) details: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContractObject {
    pub(super) id: String,
    pub(super) external_id: String,
    pub(super) made_of: Value,
    pub(super) client_id: String,
    pub(super) payer_id: String,
    pub(super) kind: String,
    pub(super) number: String,
}

/// A bill.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BillObject {
    /// Billing's id.
    pub id: String,
    /// Whoever made it calls it so.
    pub external_id: String,
    pub(super) made_of: Value,
    /// Whose it is.
    pub client_id: String,
    /// The contract that it is put on.
    pub contract_id: String,
    /// What people call it.
    pub number: String,
    /// Where its PDF is.
    pub url: String,
    /// In kopecks.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// From when on it is overdue.
    pub due_at: DateTime<Utc>,
    /// What it is for.
    pub purpose: String,
    /// `open` or `voided`.
    pub status: String,
}

/// A payment or a reversal, as the topic and `GET /payments` tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Billing's id.
    pub payment_id: String,
    /// Who has paid.
    pub billing_client_id: String,
    /// The bill that the payer named.
    pub bill_id: Option<String>,
    /// In kopecks.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// When.
    pub paid_at: DateTime<Utc>,
    /// The payment that it takes back, where it is a reversal.
    pub reversal_of: Option<String>,
}
