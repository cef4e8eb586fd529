//! One call with everything around it: headers, retries, deadline, classification of what came back.

use std::time::Duration;

use domain::commissions::decline;
use domain::ids::StripeAccountId;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use stripe_client_core::{StripeMethod, StripeRequest, VERSION};
use tokio::time::Instant;

use super::{Stripe, wire};
use crate::http::{self, Attempts, NoResponse, Response, exchange_within};
use crate::outcome::{Decline, Outcome, Reason};

const SPACING: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// The account isn't connected to ours, or not any more.
pub const ACCOUNT_INVALID: &str = "account_invalid";
/// Longest wait for one response. A charge waits for the bank of its card.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Stripe takes no longer key.
const MAX_KEY_LENGTH: usize = 255;

/// A response of Stripe.
pub(super) struct Received<T> {
    /// The object.
    pub(super) object: T,
    /// The same as it came.
    pub(super) text: String,
    /// Whether it is the first response to an idempotency key again, and may be out of date.
    pub(super) is_replayed: bool,
}

/// Why there is no such response.
#[derive(Debug)]
pub(super) enum Failure {
    Declined(Box<Refusal>),
    Retryable(String),
    Unknown(String),
}

/// A refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) decline: Decline,
    /// The payment that was made all the same, and refused by the card's bank.
    pub(super) intent: Option<Box<RawValue>>,
    pub(super) is_replayed: bool,
}

impl Failure {
    pub(super) fn declined(code: &str, message: &str, status: u16) -> Self {
        let decline = Decline::new(code, message, status);
        Failure::Declined(Box::new(Refusal {
            decline,
            intent: None,
            is_replayed: false,
        }))
    }
}

impl<T> From<Failure> for Outcome<T> {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Declined(refusal) => Outcome::Declined(refusal.decline),
            Failure::Retryable(reason) => Outcome::Retryable(Reason(reason)),
            Failure::Unknown(reason) => Outcome::Unknown(Reason(reason)),
        }
    }
}

/// One request, however often it has to be sent.
struct Call<'a> {
    stripe: &'a Stripe,
    request: stripe_client_core::RequestBuilder,
    key: Option<&'a str>,
    account: Option<&'a StripeAccountId>,
}

impl Stripe {
    /// Reads something. It may be repeated freely, so a lost response is retried and the outcome never unknown.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        request: &impl StripeRequest,
        deadline: Instant,
    ) -> Result<Received<T>, Failure> {
        self.send(request.build(), None, None, deadline).await
    }

    /// Reads something on behalf of a connected account.
    pub(super) async fn read_for<T: DeserializeOwned>(
        &self,
        request: &impl StripeRequest,
        account: &StripeAccountId,
        deadline: Instant,
    ) -> Result<Received<T>, Failure> {
        self.send(request.build(), None, Some(account), deadline).await
    }

    /// Has something done, once for a key.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        request: &impl StripeRequest,
        key: &str,
        deadline: Instant,
    ) -> Result<Received<T>, Failure> {
        check_key(key)?;
        self.send(request.build(), Some(key), None, deadline).await
    }

    /// Has something done on behalf of a connected account, once for a key.
    pub(super) async fn write_for<T: DeserializeOwned>(
        &self,
        request: &impl StripeRequest,
        key: &str,
        account: &StripeAccountId,
        deadline: Instant,
    ) -> Result<Received<T>, Failure> {
        check_key(key)?;
        self.send(request.build(), Some(key), Some(account), deadline)
            .await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: stripe_client_core::RequestBuilder,
        key: Option<&str>,
        account: Option<&StripeAccountId>,
        deadline: Instant,
    ) -> Result<Received<T>, Failure> {
        let call = Call {
            stripe: self,
            request,
            key,
            account,
        };
        let (body, is_replayed) = call.execute(deadline).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Received {
            object: wire::object(&text)
                .map_err(|reason| Failure::Unknown(format!("the response can't be read: {reason}")))?,
            text,
            is_replayed,
        })
    }
}

fn check_key(key: &str) -> Result<(), Failure> {
    if (1..=MAX_KEY_LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let message = "the idempotency key must be 1 to 255 visible ASCII characters";
    Err(Failure::declined("idempotency_key_invalid", message, 0))
}

/// What one attempt has shown.
enum Attempt {
    Received(Vec<u8>, bool),
    Declined(Box<Refusal>),
    /// Surely not done.
    NotDone(String, Option<Duration>),
    /// Surely not done, and not before a person has mended it.
    NotAllowed(String),
    /// Another request with the same key is at it.
    UnderWay(String),
    /// Possibly done.
    Doubtful(String),
}

impl Call<'_> {
    /// The response, and whether it is a repeated one.
    async fn execute(&self, deadline: Instant) -> Result<(Vec<u8>, bool), Failure> {
        let reads_only = matches!(self.request.method, StripeMethod::Get);
        let mut attempts = Attempts::new(&SPACING, deadline);
        let mut doubt = None;
        let last = loop {
            let (reason, wait) = match self.attempt(deadline).await {
                Attempt::Received(body, is_replayed) => return Ok((body, is_replayed)),
                Attempt::Declined(refusal) => return Err(Failure::Declined(refusal)),
                Attempt::NotDone(reason, wait) => (reason, wait),
                Attempt::NotAllowed(reason) => break reason,
                Attempt::Doubtful(reason) if reads_only => (reason, None),
                Attempt::Doubtful(reason) => return Err(Failure::Unknown(reason)),
                Attempt::UnderWay(reason) => {
                    doubt = Some(reason.clone());
                    (reason, None)
                }
            };
            if !attempts.later(wait).await {
                break reason;
            }
        };
        match doubt {
            // What the other request does is as good as done by this one.
            Some(reason) if !reads_only => Err(Failure::Unknown(reason)),
            _ => Err(Failure::Retryable(last)),
        }
    }

    async fn attempt(&self, deadline: Instant) -> Attempt {
        match exchange_within(self.prepare(), TIMEOUT, deadline).await {
            Ok(response) => classify(response),
            Err(NoResponse::NotSent(reason)) => Attempt::NotDone(reason, None),
            Err(NoResponse::Lost(reason)) => Attempt::Doubtful(reason),
        }
    }

    fn prepare(&self) -> RequestBuilder {
        let request = &self.request;
        let mut address = format!("{}/v1{}", self.stripe.base, request.path);
        if let Some(query) = request.query.as_deref().filter(|query| !query.is_empty()) {
            address = format!("{address}?{query}");
        }
        let method = match request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let mut sending = self
            .stripe
            .http
            .request(method, address)
            .bearer_auth(self.stripe.api_key.expose_secret())
            .header("Stripe-Version", VERSION.as_str());
        if let Some(key) = self.key {
            sending = sending.header("Idempotency-Key", key);
        }
        if let Some(account) = self.account {
            sending = sending.header("Stripe-Account", account.as_str());
        }
        if let Some(body) = &request.body {
            sending = sending
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(body.clone());
        }
        sending
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decline_code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    payment_intent: Option<Box<RawValue>>,
}

/// Without Stripe's own form of an error it is a gateway on the way that responds, and nobody knows what lies behind it.
fn classify(response: Response) -> Attempt {
    let header = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok());
    let is_replayed = header("idempotent-replayed") == Some("true");
    let request_id = header("request-id").unwrap_or_default();
    let status = response.status;
    let error = serde_json::from_slice::<ErrorBody>(&response.body).map(|body| body.error);
    match (status, error) {
        (200..=299, _) => {
            tracing::info!(status, request_id, is_replayed, "received the response of Stripe");
            if serde_json::from_slice::<&RawValue>(&response.body).is_ok() {
                Attempt::Received(response.body, is_replayed)
            } else {
                Attempt::Doubtful("the response is not JSON".to_owned())
            }
        }
        (400..=499, Ok(error)) => {
            let ErrorObject { kind, code, .. } = &error;
            tracing::info!(status, request_id, is_replayed, kind, code, "Stripe refused");
            refused(status, error, is_replayed, http::retry_after(&response.headers))
        }
        _ => {
            tracing::warn!(status, request_id, is_replayed, "Stripe failed");
            Attempt::Doubtful(format!("status {status}"))
        }
    }
}

fn refused(status: u16, error: ErrorObject, is_replayed: bool, wait: Option<Duration>) -> Attempt {
    match status {
        // Not our key is refused, but its access to an account that was ours.
        403 if error.code.as_deref() == Some(ACCOUNT_INVALID) => declined(status, error, is_replayed),
        401 | 403 => {
            tracing::error!(status, "Stripe refuses our key: check it and what it may do");
            Attempt::NotAllowed(format!("the API key was refused with status {status}"))
        }
        408 | 424 => Attempt::Doubtful(format!("status {status}")),
        409 => Attempt::UnderWay("a request with the same idempotency key is under way".to_owned()),
        429 => Attempt::NotDone("too many requests".to_owned(), wait),
        _ => declined(status, error, is_replayed),
    }
}

fn declined(status: u16, error: ErrorObject, is_replayed: bool) -> Attempt {
    let is_customers = decline::is_customers(&error.kind, error.code.as_deref().unwrap_or_default());
    let decline = Decline {
        code: error.decline_code.or(error.code).unwrap_or(error.kind),
        message: error.message.unwrap_or_default(),
        status,
        field: error.param,
        is_customers,
    };
    Attempt::Declined(Box::new(Refusal {
        decline,
        intent: error.payment_intent,
        is_replayed,
    }))
}
