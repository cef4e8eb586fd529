//! A sandbox of Firebase Cloud Messaging and of Google's sign-in for service accounts: it checks the assertion and the
//! bearer token as Google does, and keeps the messages.
//!
//! # By curl
//!
//! Under `/control/firebase`, with JSON bodies: `GET /` or `GET messages` lists the messages; `DELETE messages` forgets
//! them; `POST unregister` and `POST register` (`{"token":"…"}`) take a device off and back; `GET`, `POST`,
//! `DELETE faults`; `GET`, `DELETE calls`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Call, Reply};
use super::gate::Party;
use super::sandbox::Sandbox;
use crate::clock::LocalClock;
use crate::keys::{FIREBASE_CLIENT_EMAIL, ServiceAccount};

/// The project whose devices get messages.
pub const PROJECT_ID: &str = "moneta-local";

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
];
const MAX_ASSERTION_S: i64 = 3600;
const TOKEN_LIFETIME_S: i64 = 3599;
const CLOCK_SKEW_S: i64 = 60;
/// Older messages are dropped.
const MAX_MESSAGES: usize = 10_000;

/// A handle of the Firebase sandbox.
pub type FirebaseSandbox = Sandbox<State, SignIn>;

/// How senders sign in.
pub struct SignIn {
    token_uri: String,
    key: DecodingKey,
}

/// Sessions, messages and unregistered devices.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Bearer tokens and when they expire.
    sessions: BTreeMap<String, DateTime<Utc>>,
    messages: Vec<PushMessage>,
    unregistered: BTreeSet<String>,
}

/// A message that a device has got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushMessage {
    /// `projects/…/messages/…`.
    pub name: String,
    /// The device's registration token.
    pub token: String,
    /// The whole message, as it was sent.
    pub message: Value,
    /// When it was sent.
    pub at: DateTime<Utc>,
}

impl FirebaseSandbox {
    pub(super) fn start(
        account: &ServiceAccount,
        token_uri: String,
        file: Option<PathBuf>,
        clock: LocalClock,
    ) -> anyhow::Result<Self> {
        let key = DecodingKey::from_rsa_pem(account.public_key_pem().as_bytes())?;
        Self::open(file, clock, SignIn { token_uri, key })
    }

    /// All messages, oldest first (the newest 10,000).
    pub fn messages(&self) -> Vec<PushMessage> {
        self.lock().messages.clone()
    }

    /// The bearer tokens that were given out and last.
    pub fn bearer_tokens(&self) -> Vec<String> {
        self.lock().sessions.keys().cloned().collect()
    }

    /// The messages to one device, oldest first.
    pub fn messages_to(&self, token: &str) -> Vec<PushMessage> {
        self.lock()
            .messages
            .iter()
            .filter(|message| message.token == token)
            .cloned()
            .collect()
    }

    /// Forgets the messages.
    pub fn clear_messages(&self) {
        self.lock().messages.clear();
        self.changed();
    }

    /// The device has removed the app: messages to it answer 404 `UNREGISTERED`.
    pub fn unregister(&self, token: &str) {
        self.lock().unregistered.insert(token.to_owned());
        self.changed();
    }

    /// The device is back.
    pub fn register(&self, token: &str) {
        self.lock().unregistered.remove(token);
        self.changed();
    }

    fn token(&self, call: &Call) -> Reply {
        let request: TokenRequest = match serde_urlencoded::from_bytes(&call.body) {
            Ok(request) => request,
            Err(error) => return grant_error("invalid_request", &error.to_string()),
        };
        if request.grant_type != GRANT_TYPE {
            return grant_error("unsupported_grant_type", "Invalid grant_type");
        }
        if let Err(reason) = self.check_assertion(&request.assertion) {
            return grant_error("invalid_grant", &reason);
        }
        let token = format!("ya29.{}", Uuid::new_v4().simple());
        let now = self.time();
        let mut state = self.lock();
        state.sessions.retain(|_, expires| *expires > now);
        state
            .sessions
            .insert(token.clone(), now + TimeDelta::seconds(TOKEN_LIFETIME_S));
        self.changed();
        Reply::ok(&json!({ "access_token": token, "expires_in": TOKEN_LIFETIME_S, "token_type": "Bearer" }))
    }

    fn check_assertion(&self, assertion: &str) -> Result<(), String> {
        let mut validation = Validation::new(Algorithm::RS256);
        // By the local cloud's clock, below.
        validation.validate_exp = false;
        validation.set_audience(&[&self.extra().token_uri]);
        validation.set_issuer(&[FIREBASE_CLIENT_EMAIL]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let token = jsonwebtoken::decode::<Assertion>(assertion, &self.extra().key, &validation)
            .map_err(|error| format!("Invalid JWT: {error}"))?;
        let Assertion { iat, exp, scope } = token.claims;
        let now = self.time().timestamp();
        if iat > now + CLOCK_SKEW_S {
            return Err("Invalid JWT: iat is in the future".to_owned());
        }
        if exp < now - CLOCK_SKEW_S {
            return Err("Invalid JWT: ExpiredSignature".to_owned());
        }
        if exp - iat > MAX_ASSERTION_S {
            return Err("Invalid JWT: Token must be a short-lived token (60 minutes)".to_owned());
        }
        if !scope.split(' ').any(|scope| SCOPES.contains(&scope)) {
            return Err("Invalid OAuth scope".to_owned());
        }
        Ok(())
    }

    fn send(&self, call: &Call, project: &str) -> Reply {
        let now = self.time();
        let mut state = self.lock();
        let bearer = call
            .header("authorization")
            .and_then(|header| header.strip_prefix("Bearer "));
        if bearer
            .and_then(|token| state.sessions.get(token))
            .is_none_or(|expires| *expires <= now)
        {
            return error(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
            );
        }
        if project != PROJECT_ID {
            return error(403, "PERMISSION_DENIED", "Permission denied on the project.");
        }
        let message = match read_message(call) {
            Ok(message) => message,
            Err(reason) => return error(400, "INVALID_ARGUMENT", &reason),
        };
        let token = message
            .get("token")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if state.unregistered.contains(&token) {
            return error(404, "UNREGISTERED", "Requested entity was not found.");
        }
        let name = format!("projects/{PROJECT_ID}/messages/{}", Uuid::now_v7().simple());
        if state.messages.len() >= MAX_MESSAGES {
            state.messages.remove(0);
        }
        state.messages.push(PushMessage {
            name: name.clone(),
            token,
            message,
            at: now,
        });
        self.changed();
        Reply::ok(&json!({ "name": name }))
    }
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
    assertion: String,
}

#[derive(Deserialize)]
struct Assertion {
    iat: i64,
    exp: i64,
    scope: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendRequest {
    message: Value,
    #[serde(default, rename = "validate_only")]
    _validate_only: bool,
}

/// The message of a request, or why it is none.
fn read_message(call: &Call) -> Result<Value, String> {
    let SendRequest { message, .. } = call.json()?;
    let token = message.get("token").and_then(Value::as_str);
    if token.is_none_or(str::is_empty) {
        return Err("Recipient of the message is not set.".to_owned());
    }
    let data = message.get("data").and_then(Value::as_object);
    if data.is_some_and(|data| data.values().any(|value| !value.is_string())) {
        return Err("Invalid value at 'message.data': the values must be strings.".to_owned());
    }
    Ok(message)
}

impl Party for FirebaseSandbox {
    fn respond(&self, call: &Call) -> Reply {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("POST", ["token"]) => self.token(call),
            ("POST", ["v1", "projects", project, "messages:send"]) => self.send(call, project),
            _ => error(404, "NOT_FOUND", "Requested entity was not found."),
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Reply {
        error(status, code, message)
    }

    fn expire_sessions(&self) {
        self.lock().sessions.clear();
    }

    async fn control(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        let body = match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", [] | ["messages"]) => {
                let state = self.lock();
                json!({ "items": state.messages, "unregistered": state.unregistered })
            }
            ("DELETE", ["messages"]) => {
                self.clear_messages();
                json!({})
            }
            ("POST", ["register"]) => {
                self.register(&call.read::<Device>()?.token);
                json!({})
            }
            ("POST", ["unregister"]) => {
                self.unregister(&call.read::<Device>()?.token);
                json!({})
            }
            _ => return Ok(None),
        };
        Ok(Some(body))
    }
}

#[derive(Deserialize)]
struct Device {
    token: String,
}

/// An error of the sign-in.
fn grant_error(code: &str, description: &str) -> Reply {
    Reply::json(400, &json!({ "error": code, "error_description": description }))
}

/// An error of the messages.
fn error(status: u16, code: &str, message: &str) -> Reply {
    let google_status = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    let code = match code {
        "RATE_LIMIT" => "QUOTA_EXCEEDED",
        "E999" => "INTERNAL",
        other => other,
    };
    let detail = json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code });
    let error = json!({ "code": status, "message": message, "status": google_status, "details": [detail] });
    Reply::json(status, &json!({ "error": error }))
}
