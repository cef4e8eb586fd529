//! One call with everything around it: token, retries, deadline, classification of what came back.

use std::time::Duration;

use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::BillingCredentials;
use crate::http::{self, Attempts, NoResponse, Response, exchange};
use crate::outcome::{Decline, Outcome, Reason};

const SPACING: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// The client.
#[derive(Debug)]
pub struct Billing {
    http: Client,
    base: String,
    token: SecretString,
}

/// A request, repeatable as a whole: Billing recognises what it has by its `externalId`, and setting a payer or taking back
/// a bill twice is the same as once.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    code: String,
    message: String,
    field: Option<String>,
}

/// What one attempt has shown.
enum Attempt {
    Received(Vec<u8>),
    Declined(Decline),
    /// Surely not done.
    NotDone(String, Option<Duration>),
    /// Possibly done.
    Doubtful(String),
}

impl Billing {
    /// A client of the API at `base`, without a slash at its end.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: String, credentials: &BillingCredentials) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::client()?,
            base,
            token: credentials.token.clone(),
        })
    }

    /// Sends a request until there is a response or no more time.
    pub(super) async fn call(&self, request: &Request, deadline: Instant) -> Outcome<Vec<u8>> {
        let reads_only = request.method == Method::GET;
        let mut attempts = Attempts::new(&SPACING, deadline);
        let mut doubt: Option<String> = None;
        let last = loop {
            let (reason, goes_on) = match self.attempt(request, deadline).await {
                Attempt::Received(body) => return Outcome::Done(body),
                Attempt::Declined(decline) => return Outcome::Declined(decline),
                Attempt::NotDone(reason, wait) => (reason, attempts.later(wait).await),
                Attempt::Doubtful(reason) => {
                    doubt = Some(reason.clone());
                    (reason, attempts.later(None).await)
                }
            };
            if !goes_on {
                break reason;
            }
        };
        match doubt {
            Some(reason) if !reads_only => Outcome::Unknown(Reason(reason)),
            _ => Outcome::Retryable(Reason(last)),
        }
    }

    async fn attempt(&self, request: &Request, deadline: Instant) -> Attempt {
        let mut sending = self
            .http
            .request(request.method.clone(), format!("{}{}", self.base, request.path))
            .bearer_auth(self.token.expose_secret())
            .query(&request.query);
        if let Some(body) = &request.body {
            sending = sending.json(body);
        }
        match exchange(sending, deadline).await {
            Ok(response) => classify(&request.method, response),
            Err(NoResponse::NotSent(reason)) => Attempt::NotDone(reason, None),
            Err(NoResponse::Lost(reason)) => Attempt::Doubtful(reason),
        }
    }
}

/// A refusal is Billing's own, in its own form; a gateway on the way answers in another.
fn classify(method: &Method, response: Response) -> Attempt {
    tracing::info!(%method, status = response.status, "received the response of Billing");
    match response.status {
        200..=299 if serde_json::from_slice::<&serde_json::value::RawValue>(&response.body).is_ok() => {
            Attempt::Received(response.body)
        }
        429 => Attempt::NotDone(
            "too many requests".to_owned(),
            http::retry_after(&response.headers),
        ),
        // Our token is refused before anything is done; it may have been changed.
        401 | 403 => Attempt::NotDone(format!("status {}", response.status), None),
        status @ 400..=499 if status != 408 => {
            let ErrorBody { code, message, field } =
                serde_json::from_slice(&response.body).unwrap_or_default();
            if code.is_empty() {
                return Attempt::Doubtful(format!("status {status} in another's form"));
            }
            Attempt::Declined(Decline {
                field,
                ..Decline::new(code, message, status)
            })
        }
        status => Attempt::Doubtful(format!("status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn classified(status: u16, body: &str) -> Attempt {
        let response = Response {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        classify(&Method::POST, response)
    }

    #[test]
    fn a_refusal_is_billings_own_and_not_a_gateways() {
        let refusal = r#"{"code":"invalid_inn","message":"is not valid","field":"inn"}"#;
        for status in [400, 404, 409, 422] {
            let Attempt::Declined(decline) = classified(status, refusal) else {
                panic!("{status}");
            };
            assert_eq!(
                (
                    decline.code.as_str(),
                    decline.message.as_str(),
                    decline.field.as_deref()
                ),
                ("invalid_inn", "is not valid", Some("inn"))
            );
            for body in ["<html>Bad Request</html>", "{}", "null"] {
                assert!(
                    matches!(classified(status, body), Attempt::Doubtful(_)),
                    "{status} {body}"
                );
            }
        }
    }

    #[test]
    fn what_passes_by_itself_is_no_refusal() {
        let refusal = r#"{"code":"later","message":"later"}"#;
        for status in [401, 403, 429] {
            assert!(
                matches!(classified(status, refusal), Attempt::NotDone(..)),
                "{status}"
            );
        }
        for status in [408, 500, 502, 503, 504] {
            assert!(
                matches!(classified(status, refusal), Attempt::Doubtful(_)),
                "{status}"
            );
        }
        assert!(matches!(classified(200, "{\"id\":"), Attempt::Doubtful(_)));
    }
}
