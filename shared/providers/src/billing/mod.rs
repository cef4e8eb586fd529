//! Billing, the company's system that puts bills on dealers and takes their payments: clients, payers, contracts, bills.
//!
//! Every object carries our `externalId`, unique for its kind, and can be looked up by it. Posting the same object again
//! gives the first one, so a POST whose response was lost may be sent again; another object under the same `externalId` is
//! refused with 409. What a dealer pays comes as a message on a topic, and is listed by `GET /payments` in the same form.

mod call;
mod requests;
mod wire;

use chrono::{DateTime, Utc};
use domain::dealers::account::AccountType;
use domain::dealers::requisite::LegalForm;
use domain::ids::{BillingBillId, BillingClientId, BillingContractId, BillingPayerId, BillingPaymentId};
use domain::money::Money;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::outcome::Decline;

pub use call::Billing;

/// The status with which another object under the same `externalId` is refused.
const CONFLICT: u16 = 409;

/// How to sign in. The secret's JSON has these fields.
#[derive(Debug, Clone, Deserialize)]
pub struct BillingCredentials {
    /// The bearer token.
    pub token: SecretString,
}

/// Whether the refusal means that Billing has another object under the same `externalId`.
pub fn is_conflict(decline: &Decline) -> bool {
    decline.status == CONFLICT
}

/// A client to make: one account of a dealer.
#[derive(Debug, Clone)]
pub struct NewClient<'a> {
    /// Our id of it.
    pub external_id: &'a str,
    /// The dealer's registered name.
    pub name: &'a str,
    /// What the dealer is before the law.
    pub legal_form: LegalForm,
}

/// Who pays: the dealer's numbers and bank account. It is personal and legal data.
#[derive(Clone)]
pub struct PayerDetails<'a> {
    /// Number of the taxpayer.
    pub inn: &'a str,
    /// Code of the reason of registration.
    pub kpp: Option<&'a str>,
    /// Number in the state register.
    pub ogrn: &'a str,
    /// The bank's code.
    pub bik: &'a str,
    /// The account there.
    pub account: &'a str,
    /// The bank's own account.
    pub correspondent_account: &'a str,
    /// The registered address.
    pub address: &'a str,
}

impl std::fmt::Debug for PayerDetails<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PayerDetails(redacted)")
    }
}

/// A bill to make.
#[derive(Debug, Clone)]
pub struct NewBill<'a> {
    /// Our id of it.
    pub external_id: &'a str,
    /// Whose contract it is put on.
    pub client: &'a BillingClientId,
    /// The contract.
    pub contract: &'a BillingContractId,
    /// How much.
    pub amount: Money,
    /// From when on it is overdue.
    pub due_at: DateTime<Utc>,
    /// What it is for, as the dealer reads it.
    pub purpose: &'a str,
}

/// A client that Billing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClient {
    /// Billing's id.
    pub id: BillingClientId,
}

/// A payer that Billing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPayer {
    /// Billing's id.
    pub id: BillingPayerId,
    /// Whose it is.
    pub client: BillingClientId,
}

/// A contract that Billing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundContract {
    /// Billing's id.
    pub id: BillingContractId,
    /// Whose it is.
    pub client: BillingClientId,
    /// Who pays.
    pub payer: BillingPayerId,
    /// What it is for.
    pub kind: AccountType,
}

/// A bill that Billing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBill {
    /// Billing's id.
    pub id: BillingBillId,
    /// Whose it is.
    pub client: BillingClientId,
    /// How much.
    pub amount: Money,
    /// Where its PDF is.
    pub url: String,
    /// Whether it was taken back.
    pub is_voided: bool,
}

/// What a dealer has paid, or that a payment was booked by mistake; from the topic or from `GET /payments`. Nothing of it is
/// checked: the currency may be any, the amount below zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentMessage {
    /// Billing's id of the payment or the reversal.
    pub payment_id: BillingPaymentId,
    /// Who has paid.
    pub billing_client_id: BillingClientId,
    /// The bill that the payer named.
    pub bill_id: Option<BillingBillId>,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// When the money came, or was taken back.
    pub paid_at: DateTime<Utc>,
    /// The payment that it takes back, where it is a reversal.
    pub reversal_of: Option<BillingPaymentId>,
}

/// A page of payments.
#[derive(Debug, Clone)]
pub struct PaymentPage {
    /// The payments that can be read.
    pub items: Vec<PaymentMessage>,
    /// How many can't.
    pub unreadable: u32,
    /// Leads to the next page.
    pub next_cursor: Option<String>,
}
