//! A sandbox of Billing: clients, payers, contracts, bills with a PDF that opens, payments, and the messages about them on a
//! topic.
//!
//! Every object has an `externalId`, unique for its kind: the same POST again gives the first object, another body 409.
//!
//! # By curl
//!
//! Under `/control/billing`, with JSON bodies: `GET /` lists everything; `POST payments`
//! (`{"client_id":"…","bill_id":null,"amount":…}`) is a payment, which goes to the topic; `POST payments/{id}/reverse`
//! (`{"amount":null}`) takes one back; `POST bills/{id}/amount` (`{"amount":…}`) changes a bill behind our back;
//! `POST messages` (`{"hold":false,"repeat":0}`) says whether messages wait and how often each is repeated;
//! `POST messages/release` sends those that waited; `POST messages/raw` (`{"key":"…","text":"…"}`) sends any text;
//! `GET`, `POST`, `DELETE faults`; `GET`, `DELETE calls`.

mod api;
mod control;
pub(super) mod pdf;
mod state;
mod topic;

use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::gate::Party;
use super::sandbox::Sandbox;
use crate::clock::LocalClock;

pub use state::{BillObject, Payment, State};
pub use topic::PaymentTopic;

use topic::Sender;

/// The bearer token that Moneta has to show.
pub const TOKEN: &str = "billing-sandbox-token";

/// A handle of the Billing sandbox.
pub type BillingSandbox = Sandbox<State, Outside>;

/// What lies outside of the state.
#[derive(Debug)]
pub struct Outside {
    /// Where it is found, for the addresses of its PDFs.
    url: String,
    sender: Sender,
}

/// What somebody pays.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// Into which client's account.
    pub client_id: String,
    /// The bill that the payer names.
    pub bill_id: Option<String>,
    /// In kopecks.
    pub amount: i64,
}

impl BillingSandbox {
    pub(super) fn start(
        url: String,
        topic: Option<PaymentTopic>,
        file: Option<PathBuf>,
        clock: LocalClock,
    ) -> anyhow::Result<Self> {
        let sender = Sender::new(topic)?;
        Self::open(file, clock, Outside { url, sender })
    }

    /// The secret with which a function signs in.
    pub(super) fn secret() -> String {
        json!({ "token": TOKEN }).to_string()
    }

    /// How many clients, payers, contracts and bills there are under external ids that begin like this.
    pub fn count(&self, external_id: &str) -> [usize; 4] {
        let state = self.lock();
        let of = |ids: Vec<&str>| ids.iter().filter(|id| id.starts_with(external_id)).count();
        [
            of(state
                .clients
                .values()
                .map(|one| one.external_id.as_str())
                .collect()),
            of(state
                .payers
                .values()
                .map(|one| one.external_id.as_str())
                .collect()),
            of(state
                .contracts
                .values()
                .map(|one| one.external_id.as_str())
                .collect()),
            of(state.bills.values().map(|one| one.external_id.as_str()).collect()),
        ]
    }

    /// The bills of a client, oldest first.
    pub fn bills(&self, client_id: &str) -> Vec<BillObject> {
        let state = self.lock();
        let bills = state.bills.values();
        bills
            .filter(|bill| bill.client_id == client_id)
            .cloned()
            .collect()
    }

    /// The payer of a client, as it was last written.
    pub fn payer_details(&self, client_id: &str) -> Option<Value> {
        let state = self.lock();
        let payer = state.payers.values().find(|payer| payer.client_id == client_id)?;
        Some(payer.details.clone())
    }

    /// The payments and reversals of a client, oldest first.
    pub fn payments(&self, client_id: &str) -> Vec<Payment> {
        let state = self.lock();
        let payments = state.payments.iter();
        payments
            .filter(|payment| payment.billing_client_id == client_id)
            .cloned()
            .collect()
    }

    /// A payment comes, and is told on the topic.
    pub async fn pay(&self, new: NewPayment) -> anyhow::Result<Payment> {
        let payment = self.book(new)?;
        self.publish(&payment).await?;
        Ok(payment)
    }

    /// A payment comes, and nothing is told: its message is lost.
    pub fn book(&self, new: NewPayment) -> anyhow::Result<Payment> {
        let mut state = self.lock();
        anyhow::ensure!(
            state.clients.contains_key(&new.client_id),
            "there is no client {}",
            new.client_id
        );
        let payment = Payment {
            payment_id: state.next_id("P"),
            billing_client_id: new.client_id,
            bill_id: new.bill_id,
            amount: new.amount,
            currency: "RUB".to_owned(),
            paid_at: self.time(),
            reversal_of: None,
        };
        state.payments.push(payment.clone());
        self.changed();
        Ok(payment)
    }

    /// A payment was booked by mistake: it, or a part of it, is taken back, and that is told on the topic.
    pub async fn reverse(&self, payment_id: &str, amount: Option<i64>) -> anyhow::Result<Payment> {
        let reversal = {
            let mut state = self.lock();
            let reversed = state
                .payments
                .iter()
                .find(|payment| payment.payment_id == payment_id);
            let reversed = reversed.context("there is no such payment")?.clone();
            let reversal = Payment {
                payment_id: state.next_id("R"),
                amount: amount.unwrap_or(reversed.amount),
                paid_at: self.time(),
                reversal_of: Some(reversed.payment_id.clone()),
                bill_id: None,
                ..reversed
            };
            state.payments.push(reversal.clone());
            self.changed();
            reversal
        };
        self.publish(&reversal).await?;
        Ok(reversal)
    }

    /// Tells a payment once more, or one that somebody has made up.
    pub async fn publish(&self, payment: &Payment) -> anyhow::Result<()> {
        let copies = {
            let mut state = self.lock();
            if state.holds_messages {
                state.held.push(payment.clone());
                self.changed();
                return Ok(());
            }
            1 + state.repeats
        };
        for _ in 0..copies {
            self.publish_raw(&payment.billing_client_id, &serde_json::to_string(payment)?)
                .await?;
        }
        Ok(())
    }

    /// Sends any text under a key to the topic.
    pub async fn publish_raw(&self, key: &str, text: &str) -> anyhow::Result<()> {
        self.extra().sender.send(key, text).await
    }

    /// Whether messages wait from now on.
    pub fn hold_messages(&self, hold: bool) {
        self.lock().holds_messages = hold;
        self.changed();
    }

    /// How often each message is repeated from now on.
    pub fn repeat_messages(&self, repeats: u32) {
        self.lock().repeats = repeats;
        self.changed();
    }

    /// The messages that waited, which wait no more and aren't sent: whoever takes them sends them in the order he likes.
    pub fn take_held(&self) -> Vec<Payment> {
        let held = std::mem::take(&mut self.lock().held);
        self.changed();
        held
    }

    /// Changes a bill behind our back.
    pub fn change_bill(&self, bill_id: &str, amount: i64) -> anyhow::Result<()> {
        let mut state = self.lock();
        let bill = state.bills.get_mut(bill_id).context("there is no such bill")?;
        bill.amount = amount;
        self.changed();
        Ok(())
    }

    /// As it begins: messages are sent, once each, at once.
    pub fn reset_messages(&self) {
        let mut state = self.lock();
        state.holds_messages = false;
        state.repeats = 0;
        state.held.clear();
        self.changed();
    }
}

impl Party for BillingSandbox {
    fn respond(&self, call: &Call) -> Reply {
        self.answer(call)
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Reply {
        api::error(status, code, message, None)
    }

    /// Billing has no sessions.
    fn expire_sessions(&self) {}

    async fn control(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        self.control_route(call).await
    }
}
