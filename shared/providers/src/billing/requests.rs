//! The calls that Moneta makes.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::dealers::account::AccountType;
use domain::ids::{BillingBillId, BillingClientId, BillingPayerId};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Billing, Request};
use super::{
    FoundBill, FoundClient, FoundContract, FoundPayer, NewBill, NewClient, PayerDetails, PaymentPage, wire,
};
use crate::outcome::Outcome;

impl Billing {
    /// The client of this `externalId`, if there is one.
    pub async fn find_client(&self, external_id: &str, deadline: Instant) -> Outcome<Option<FoundClient>> {
        let found = self.find("/clients", external_id, deadline).await;
        found.read(|body| wire::found(&body, wire::client))
    }

    /// Makes a client.
    pub async fn create_client(&self, new: &NewClient<'_>, deadline: Instant) -> Outcome<FoundClient> {
        let body = json!({ "externalId": new.external_id, "name": new.name, "legalForm": new.legal_form });
        let made = self.post("/clients".to_owned(), body, deadline).await;
        made.read(|body| wire::one(&body, wire::client))
    }

    /// The payer of this `externalId`, if there is one.
    pub async fn find_payer(&self, external_id: &str, deadline: Instant) -> Outcome<Option<FoundPayer>> {
        let found = self.find("/payers", external_id, deadline).await;
        found.read(|body| wire::found(&body, wire::payer))
    }

    /// Makes the payer of a client.
    pub async fn create_payer(
        &self,
        client: &BillingClientId,
        external_id: &str,
        details: &PayerDetails<'_>,
        deadline: Instant,
    ) -> Outcome<FoundPayer> {
        let mut body = payer_body(details);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("externalId".to_owned(), json!(external_id));
        }
        let path = format!("/clients/{}/payers", segment(client.as_str()));
        let made = self.post(path, body, deadline).await;
        made.read(|body| wire::one(&body, wire::payer))
    }

    /// Replaces what Billing knows of a payer.
    pub async fn update_payer(
        &self,
        payer: &BillingPayerId,
        details: &PayerDetails<'_>,
        deadline: Instant,
    ) -> Outcome<FoundPayer> {
        let request = Request {
            method: Method::PUT,
            path: format!("/payers/{}", segment(payer.as_str())),
            query: Vec::new(),
            body: Some(payer_body(details)),
        };
        let updated = self.call(&request, deadline).await;
        updated.read(|body| wire::one(&body, wire::payer))
    }

    /// The contract of this `externalId`, if there is one.
    pub async fn find_contract(
        &self,
        external_id: &str,
        deadline: Instant,
    ) -> Outcome<Option<FoundContract>> {
        let found = self.find("/contracts", external_id, deadline).await;
        found.read(|body| wire::found(&body, wire::contract))
    }

    /// Makes the contract of a client.
    pub async fn create_contract(
        &self,
        client: &BillingClientId,
        external_id: &str,
        payer: &BillingPayerId,
        kind: AccountType,
        deadline: Instant,
    ) -> Outcome<FoundContract> {
        let body = json!({ "externalId": external_id, "payerId": payer, "kind": kind });
        let path = format!("/clients/{}/contracts", segment(client.as_str()));
        let made = self.post(path, body, deadline).await;
        made.read(|body| wire::one(&body, wire::contract))
    }

    /// The bill of this `externalId`, if there is one.
    pub async fn find_bill(&self, external_id: &str, deadline: Instant) -> Outcome<Option<FoundBill>> {
        let found = self.find("/bills", external_id, deadline).await;
        found.read(|body| wire::found(&body, wire::bill))
    }

    /// Makes a bill.
    pub async fn create_bill(&self, new: &NewBill<'_>, deadline: Instant) -> Outcome<FoundBill> {
        let body = json!({
            "externalId": new.external_id,
            "contractId": new.contract,
            "amount": new.amount.minor(),
            "currency": new.amount.currency().code(),
            "dueAt": time(new.due_at),
            "purpose": new.purpose,
        });
        let path = format!("/clients/{}/bills", segment(new.client.as_str()));
        let made = self.post(path, body, deadline).await;
        made.read(|body| wire::one(&body, wire::bill))
    }

    /// Takes a bill back.
    pub async fn void_bill(
        &self,
        bill: &BillingBillId,
        reason: &str,
        deadline: Instant,
    ) -> Outcome<FoundBill> {
        let path = format!("/bills/{}/void", segment(bill.as_str()));
        let voided = self.post(path, json!({ "reason": reason }), deadline).await;
        voided.read(|body| wire::one(&body, wire::bill))
    }

    /// A page of the payments and reversals of a span of time, by when they were booked.
    pub async fn payments(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&str>,
        deadline: Instant,
    ) -> Outcome<PaymentPage> {
        let mut query = vec![("from", time(from)), ("to", time(to))];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let request = Request {
            method: Method::GET,
            path: "/payments".to_owned(),
            query,
            body: None,
        };
        let listed = self.call(&request, deadline).await;
        listed.read(|body| wire::payments(&body))
    }

    async fn find(&self, path: &str, external_id: &str, deadline: Instant) -> Outcome<Vec<u8>> {
        let request = Request {
            method: Method::GET,
            path: path.to_owned(),
            query: vec![("externalId", external_id.to_owned())],
            body: None,
        };
        self.call(&request, deadline).await
    }

    async fn post(&self, path: String, body: Value, deadline: Instant) -> Outcome<Vec<u8>> {
        let request = Request {
            method: Method::POST,
            path,
            query: Vec::new(),
            body: Some(body),
        };
        self.call(&request, deadline).await
    }
}

fn payer_body(details: &PayerDetails<'_>) -> Value {
    json!({
        "inn": details.inn,
        "kpp": details.kpp,
        "ogrn": details.ogrn,
        "bank": {
            "bik": details.bik,
            "account": details.account,
            "correspondentAccount": details.correspondent_account,
        },
        "address": details.address,
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An id as a segment of a path: what isn't a letter, digit, `-` or `_` is escaped.
fn segment(id: &str) -> String {
    id.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_not_leave_its_segment() {
        assert_eq!(segment("BC-000001_x"), "BC-000001_x");
        assert_eq!(segment("../x?y"), "%2E%2E%2Fx%3Fy");
    }
}
