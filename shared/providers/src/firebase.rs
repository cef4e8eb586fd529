//! Firebase Cloud Messaging, HTTP v1: pushes to phones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::clock::Clock;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::http::{self, Attempts, NoResponse, Response, exchange};
use crate::jwt::signed_rs256;
use crate::outcome::{Decline, Outcome, Reason};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// Life of the assertion with which an access token is requested.
const ASSERTION_SECONDS: i64 = 3600;
/// An access token is renewed this long before it ends.
const RENEWAL_MARGIN: Duration = Duration::from_secs(120);
const SPACING: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// The platform of the device (Apple, a browser's push service) refuses what Firebase signs in with.
pub const THIRD_PARTY_AUTH_ERROR: &str = "THIRD_PARTY_AUTH_ERROR";
/// The device's token is not registered any more: the device should be removed.
pub const UNREGISTERED: &str = "UNREGISTERED";
/// The device's token is invalid: the device should be removed. Firebase's own code, `INVALID_ARGUMENT`, stands for any
/// other mistake in a message as well.
pub const INVALID_TOKEN: &str = "INVALID_TOKEN";

/// A Google service account, as its JSON key file has it.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceAccount {
    /// Name of the account.
    pub client_email: String,
    /// RSA key, PEM.
    pub private_key: SecretString,
    /// Where access tokens are requested.
    pub token_uri: String,
}

/// A push.
#[derive(Debug, Clone)]
pub struct Push {
    /// The device's registration token.
    pub device_token: SecretString,
    /// Headline.
    pub title: String,
    /// Text.
    pub body: String,
    /// What the app needs to show the push in its notification centre.
    pub data: BTreeMap<String, String>,
    /// A push replaces the one that the phone shows under the same id.
    pub collapse_id: String,
}

/// The client.
#[derive(Debug)]
pub struct Firebase {
    http: Client,
    base: String,
    project: String,
    account: ServiceAccount,
    clock: Arc<dyn Clock>,
    token: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    text: SecretString,
    until: Instant,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretString,
    expires_in: u64,
}

enum Attempt {
    Settled(Outcome<()>),
    TokenRefused,
    Again(String, Option<Duration>),
}

impl Firebase {
    /// A client of the API at `base`, without a slash at its end.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        base: String,
        project: String,
        account: ServiceAccount,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::client()?,
            base,
            project,
            account,
            clock,
            token: Mutex::new(None),
        })
    }

    /// Sends a push. A push whose response was lost may be repeated: the phone shows one per collapse id.
    pub async fn send(&self, push: &Push, deadline: Instant) -> Outcome<()> {
        let message = message(push);
        let mut attempts = Attempts::new(&SPACING, deadline);
        loop {
            let (reason, goes_on) = match self.attempt(&message, deadline).await {
                Attempt::Settled(outcome) => return outcome,
                Attempt::TokenRefused => {
                    *self.token.lock().await = None;
                    ("the access token was refused".to_owned(), attempts.at_once())
                }
                Attempt::Again(reason, wait) => (reason, attempts.later(wait).await),
            };
            if !goes_on {
                return Outcome::Retryable(Reason(reason));
            }
        }
    }

    async fn attempt(&self, message: &Value, deadline: Instant) -> Attempt {
        let token = match self.token(deadline).await {
            Ok(token) => token,
            Err(reason) => return Attempt::Again(reason, None),
        };
        let address = format!("{}/v1/projects/{}/messages:send", self.base, self.project);
        let request = self
            .http
            .post(address)
            .bearer_auth(token.expose_secret())
            .json(message);
        match exchange(request, deadline).await {
            Ok(response) => classify(&response),
            Err(NoResponse::NotSent(reason) | NoResponse::Lost(reason)) => Attempt::Again(reason, None),
        }
    }

    /// The cached access token, or a new one shortly before it ends.
    async fn token(&self, deadline: Instant) -> Result<SecretString, String> {
        let mut cached = self.token.lock().await;
        if let Some(token) = cached.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.text.clone());
        }
        if self.base.starts_with("https://") && !self.account.token_uri.starts_with("https://") {
            return Err("no access token: token_uri of the service account isn't https".to_owned());
        }
        let form = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned(),
            ),
            ("assertion", self.assertion()?),
        ];
        let request = self.http.post(&self.account.token_uri).form(&form);
        let response = exchange(request, deadline)
            .await
            .map_err(|error| format!("no access token: {error:?}"))?;
        if response.status != 200 {
            return Err(format!("no access token: status {}", response.status));
        }
        let read: TokenResponse = serde_json::from_slice(&response.body)
            .map_err(|_| "no access token: the response can't be read".to_owned())?;
        let life = Duration::from_secs(read.expires_in).saturating_sub(RENEWAL_MARGIN);
        Ok(cached
            .insert(Token {
                text: read.access_token,
                until: Instant::now() + life,
            })
            .text
            .clone())
    }

    fn assertion(&self) -> Result<String, String> {
        let now = self.clock.now().timestamp();
        let claims = Assertion {
            iss: &self.account.client_email,
            scope: SCOPE,
            aud: &self.account.token_uri,
            iat: now,
            exp: now + ASSERTION_SECONDS,
        };
        signed_rs256(&claims, &self.account.private_key)
            .map_err(|reason| format!("the service account's key: {reason}"))
    }
}

/// What the phone shows has the collapse id on each platform: Android's `collapse_key` alone replaces what waits to be delivered, not
/// what is shown, which its `tag` does.
fn message(push: &Push) -> Value {
    json!({"message": {
        "token": push.device_token.expose_secret(),
        "notification": {"title": push.title, "body": push.body},
        "data": push.data,
        "android": {"collapse_key": push.collapse_id, "notification": {"tag": push.collapse_id}},
        "apns": {"headers": {"apns-collapse-id": push.collapse_id}},
        "webpush": {"notification": {"tag": push.collapse_id}},
    }})
}

fn classify(response: &Response) -> Attempt {
    tracing::info!(status = response.status, "received the response of Firebase");
    match response.status {
        200..=299 => Attempt::Settled(Outcome::Done(())),
        // Apple refuses the key that Firebase has of us: our token is good, and no other would help.
        401 if error_code(&response.body).as_deref() == Some(THIRD_PARTY_AUTH_ERROR) => {
            let message = "Firebase's own sign-in at the device's platform was refused";
            Attempt::Settled(Outcome::Declined(Decline::new(
                THIRD_PARTY_AUTH_ERROR,
                message,
                401,
            )))
        }
        401 => Attempt::TokenRefused,
        429 | 500..=599 => Attempt::Again(
            format!("status {}", response.status),
            http::retry_after(&response.headers),
        ),
        status => {
            let code = error_code(&response.body).unwrap_or_default();
            let message = "the push was refused".to_owned();
            Attempt::Settled(Outcome::Declined(Decline::new(code, message, status)))
        }
    }
}

fn error_code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let details = body.pointer("/error/details").and_then(Value::as_array);
    let mut details = details.into_iter().flatten();
    if details.clone().any(is_about_token) {
        return Some(INVALID_TOKEN.to_owned());
    }
    let code = details.find_map(|detail| detail.get("errorCode")?.as_str().map(str::to_owned));
    code.or_else(|| body.pointer("/error/status")?.as_str().map(str::to_owned))
}

/// Whether a detail of a refusal blames the device's token.
fn is_about_token(detail: &Value) -> bool {
    let violations = detail.get("fieldViolations").and_then(Value::as_array);
    let fields = violations
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("field"));
    fields.into_iter().any(|field| field == "message.token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_that_is_repeated_takes_the_place_of_the_one_that_is_shown() {
        let message = message(&Push {
            device_token: SecretString::from("token"),
            title: "Title".to_owned(),
            body: "Body".to_owned(),
            data: BTreeMap::new(),
            collapse_id: "01J".to_owned(),
        });
        for place in [
            "/message/android/collapse_key",
            "/message/android/notification/tag",
            "/message/apns/headers/apns-collapse-id",
            "/message/webpush/notification/tag",
        ] {
            assert_eq!(message.pointer(place), Some(&json!("01J")), "{place}");
        }
    }

    #[test]
    fn a_refusal_is_read_with_its_code() {
        let body = br#"{"error":{"code":404,"status":"NOT_FOUND","details":[
            {"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}"#;
        assert_eq!(error_code(body).as_deref(), Some(UNREGISTERED));
        assert_eq!(
            error_code(br#"{"error":{"status":"NOT_FOUND"}}"#).as_deref(),
            Some("NOT_FOUND")
        );
        assert_eq!(error_code(b"oops"), None);
    }

    #[test]
    fn a_platform_that_refuses_firebase_does_not_make_our_token_a_bad_one() {
        let answer = |body: &str| {
            classify(&Response {
                status: 401,
                headers: reqwest::header::HeaderMap::new(),
                body: body.as_bytes().to_vec(),
            })
        };
        let refused = answer(
            r#"{"error":{"status":"UNAUTHENTICATED","details":[{"errorCode":"THIRD_PARTY_AUTH_ERROR"}]}}"#,
        );
        let Attempt::Settled(Outcome::Declined(decline)) = refused else {
            panic!("it is tried again");
        };
        assert_eq!(decline.code, THIRD_PARTY_AUTH_ERROR);
        let ours = answer(r#"{"error":{"status":"UNAUTHENTICATED"}}"#);
        assert!(matches!(ours, Attempt::TokenRefused));
    }

    #[test]
    fn an_invalid_token_is_distinguished_from_an_invalid_message() {
        let refusal = |field: &str| {
            let details = json!([
                {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT"},
                {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field}]},
            ]);
            let body = json!({"error": {"status": "INVALID_ARGUMENT", "details": details}});
            error_code(body.to_string().as_bytes())
        };
        assert_eq!(refusal("message.token").as_deref(), Some(INVALID_TOKEN));
        assert_eq!(refusal("message.data").as_deref(), Some("INVALID_ARGUMENT"));
    }
}
