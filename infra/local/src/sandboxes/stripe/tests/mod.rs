//! Tests of the Stripe sandbox.

mod charging;
mod checkout;
mod connect;
mod control;
mod faults;
mod idempotency;
mod webhooks;
mod wire;

use http::HeaderMap;
use serde_json::Value;

use super::StripeSandbox;
use crate::keys::STRIPE_API_KEY;
use crate::sandboxes::tests::{client, sandboxes};
use crate::sandboxes::{SandboxOptions, Sandboxes};

/// The sandbox with somebody who calls it.
struct Shop {
    sandboxes: Sandboxes,
    stripe: StripeSandbox,
    http: reqwest::Client,
}

/// An answer, whole.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
    body: Value,
}

impl Answer {
    /// The error's code.
    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    fn replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some()
    }
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

impl Shop {
    async fn open() -> Self {
        Self::around(sandboxes().await)
    }

    fn around(sandboxes: Sandboxes) -> Self {
        Self {
            stripe: sandboxes.stripe(),
            sandboxes,
            http: client(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandboxes.environment()["STRIPE_API_BASE"])
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.bearer_auth(STRIPE_API_KEY).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    async fn post(&self, path: &str, form: Pairs<'_>) -> Answer {
        self.send(self.http.post(self.url(path)).form(form)).await
    }

    async fn post_with_key(&self, path: &str, form: Pairs<'_>, key: &str) -> Answer {
        let request = self.http.post(self.url(path)).form(form);
        self.send(request.header("idempotency-key", key)).await
    }

    async fn customer(&self) -> String {
        self.post("/v1/customers", &[("name", "Ada")]).await.id()
    }

    /// A customer who has saved this card on the page.
    async fn saved_card(&self, number: &str) -> (String, String) {
        let customer = self.customer().await;
        let form = [
            ("mode", "setup"),
            ("currency", "usd"),
            ("customer", customer.as_str()),
            ("success_url", "https://app.example/done"),
        ];
        let session = self.post("/v1/checkout/sessions", &form).await.id();
        self.stripe.complete_checkout(&session, number).unwrap();
        let method = self.stripe.payment_methods(&customer).remove(0).id;
        (customer, method)
    }

    /// Charges a saved card in the customer's absence.
    async fn charge(&self, (customer, method): &(String, String), key: &str) -> Answer {
        self.charge_amount("2500", (customer, method), key).await
    }

    async fn charge_amount(&self, amount: &str, (customer, method): (&str, &str), key: &str) -> Answer {
        let form = [
            ("amount", amount),
            ("currency", "usd"),
            ("customer", customer),
            ("payment_method", method),
            ("off_session", "true"),
            ("confirm", "true"),
            ("metadata[invoice_id]", "7"),
        ];
        self.post_with_key("/v1/payment_intents", &form, key).await
    }

    /// The kinds of events so far.
    fn kinds(&self) -> Vec<String> {
        let events = self.stripe.events().into_iter();
        events.map(|event| event.kind).collect()
    }

    async fn close(self) {
        self.sandboxes.stop().await;
    }
}
