//! Mutations of the app's API in GraphQL that only the company's own functions may call: signed with the credentials of the
//! function that calls.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::http::{self, Attempts, NoResponse, Response, exchange};
use crate::outcome::{Decline, Outcome, Reason};

/// The name under which requests are signed.
const SERVICE: &str = "appsync";
const CONTENT_TYPE: (&str, &str) = ("content-type", "application/json");
const SPACING: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// A client of the API.
#[derive(Debug)]
pub struct AppSync {
    http: Client,
    url: String,
    region: String,
    credentials: SharedCredentialsProvider,
}

impl AppSync {
    /// A client of the API at this address.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        url: String,
        region: String,
        credentials: SharedCredentialsProvider,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::client()?,
            url,
            region,
            credentials,
        })
    }

    /// Sends a document. When its response is lost it is sent again, so that what it does may be done twice.
    pub async fn send(&self, document: &str, variables: &Value, deadline: Instant) -> Outcome<()> {
        let body = json!({ "query": document, "variables": variables }).to_string();
        let mut attempts = Attempts::new(&SPACING, deadline);
        loop {
            let (reason, wait) = match self.attempt(&body, deadline).await {
                Ok(response) => match classify(&response) {
                    Outcome::Retryable(reason) => (reason, http::retry_after(&response.headers)),
                    settled => return settled,
                },
                Err(reason) => (Reason(reason), None),
            };
            if !attempts.later(wait).await {
                return Outcome::Retryable(reason);
            }
        }
    }

    async fn attempt(&self, body: &str, deadline: Instant) -> Result<Response, String> {
        let request = self.signed(body).await?;
        exchange(request, deadline).await.map_err(|lost| match lost {
            NoResponse::NotSent(reason) | NoResponse::Lost(reason) => reason,
        })
    }

    async fn signed(&self, body: &str) -> Result<RequestBuilder, String> {
        let credentials = self.credentials.provide_credentials().await;
        let identity = credentials.map_err(|_| "no credentials".to_owned())?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?;
        let signable = SignableRequest::new(
            "POST",
            &self.url,
            std::iter::once(CONTENT_TYPE),
            SignableBody::Bytes(body.as_bytes()),
        );
        let signable = signable.map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters.into())
            .map_err(|error| error.to_string())?
            .into_parts();
        let (name, value) = CONTENT_TYPE;
        let mut request = self
            .http
            .post(&self.url)
            .header(name, value)
            .body(body.to_owned());
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(request)
    }
}

/// What a response says. AppSync answers 200 also when it refuses a field.
fn classify(response: &Response) -> Outcome<()> {
    tracing::info!(status = response.status, "received the response of AppSync");
    let status = response.status;
    if status == 429 || status >= 500 {
        return Outcome::Retryable(Reason(format!("status {status}")));
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let error = body.pointer("/errors/0");
    if error.is_none() && status == 200 {
        return Outcome::Done(());
    }
    let text = |name: &str| {
        let text = error.and_then(|error| error.get(name)).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    Outcome::Declined(Decline::new(text("errorType"), text("message"), status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(status: u16, body: &str) -> Outcome<()> {
        classify(&Response {
            status,
            headers: reqwest::header::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn a_refused_field_is_a_refusal_though_the_status_is_200() {
        assert_eq!(classified(200, r#"{"data":{"publish":{}}}"#), Outcome::Done(()));
        let refused = r#"{"data":null,"errors":[{"errorType":"Unauthorized","message":"No."}]}"#;
        let expected = Decline::new("Unauthorized", "No.", 200);
        assert_eq!(classified(200, refused), Outcome::Declined(expected));
        let expected = Decline::new("", "", 403);
        assert_eq!(classified(403, "<html>"), Outcome::Declined(expected));
    }

    #[test]
    fn a_throttle_and_a_fault_are_tried_again() {
        for status in [429, 500, 503] {
            assert!(
                matches!(classified(status, "{}"), Outcome::Retryable(_)),
                "{status}"
            );
        }
    }
}
