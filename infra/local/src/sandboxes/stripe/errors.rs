//! Refusals in Stripe's shape.

use serde_json::{Map, Value, json};

use super::cards::{Decline, FAILED_AUTHENTICATION};
use crate::sandboxes::call::Reply;

/// A refusal.
#[derive(Debug)]
pub(super) struct ApiError(Box<Body>);

#[derive(Debug)]
struct Body {
    status: u16,
    properties: Map<String, Value>,
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(status: u16, kind: &str, code: Option<&str>, message: impl Into<String>) -> Self {
        let error = Self(Box::new(Body {
            status,
            properties: Map::new(),
        }))
        .with("type", json!(kind))
        .with("message", json!(message.into()));
        match code {
            Some(code) => error
                .with("code", json!(code))
                .with("doc_url", json!(doc_url(code))),
            None => error,
        }
    }

    /// A request that Stripe doesn't accept.
    pub(super) fn invalid(code: Option<&str>, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", code, message)
    }

    /// A parameter that Stripe doesn't accept.
    pub(super) fn parameter(code: &str, param: &str, message: impl Into<String>) -> Self {
        Self::invalid(Some(code), message).with("param", json!(param))
    }

    /// An object that doesn't exist; `404` where the path names it, `400` where a parameter does.
    pub(super) fn missing(status: u16, object: &str, id: &str, param: &str) -> Self {
        let message = format!("No such {object}: '{id}'");
        Self::new(status, "invalid_request_error", Some("resource_missing"), message)
            .with("param", json!(param))
    }

    /// An account that isn't connected to ours, or not any more.
    pub(super) fn account_invalid(account: &str) -> Self {
        let message = format!(
            "The provided key does not have access to account '{account}' (or that account does not exist). \
             Application access may have been revoked."
        );
        Self::new(403, "invalid_request_error", Some("account_invalid"), message)
    }

    /// A declined card.
    pub(super) fn declined(decline: &Decline) -> Self {
        let mut properties = failure(decline);
        properties.retain(|_, value| !value.is_null());
        Self(Box::new(Body {
            status: 402,
            properties,
        }))
    }

    /// Adds a property.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.properties.insert(name.to_owned(), value);
        self
    }

    /// The message, for a person.
    pub(super) fn message(&self) -> String {
        let text = |name: &str| self.0.properties.get(name).and_then(Value::as_str);
        let reason = text("decline_code").or_else(|| text("code")).unwrap_or("refused");
        format!("{} ({reason})", text("message").unwrap_or_default())
    }

    /// The answer.
    pub(super) fn into_reply(self) -> Reply {
        Reply::json(self.0.status, &json!({ "error": self.0.properties }))
    }
}

/// The properties of a failed try: those of the error, and of `last_payment_error`.
pub(super) fn failure(decline: &Decline) -> Map<String, Value> {
    let kind = match decline.code.as_str() {
        FAILED_AUTHENTICATION | "setup_intent_authentication_failure" => "invalid_request_error",
        _ => "card_error",
    };
    let mut properties = Map::new();
    let mut set = |name: &str, value: Value| properties.insert(name.to_owned(), value);
    set("type", json!(kind));
    set("code", json!(decline.code));
    set("decline_code", json!(decline.decline_code));
    set("message", json!(decline.message));
    set("doc_url", json!(doc_url(&decline.code)));
    properties
}

fn doc_url(code: &str) -> String {
    format!("https://docs.stripe.com/error-codes/{}", code.replace('_', "-"))
}
