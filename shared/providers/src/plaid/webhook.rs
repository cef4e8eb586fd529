//! Plaid's webhooks: a JWT (ES256) in `Plaid-Verification`, with the digest of the body, at most 5 minutes old.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::WebhookKey;
use crate::jwt;

/// A webhook may be this old.
const MAX_AGE: TimeDelta = TimeDelta::seconds(300);
/// Clocks may differ by this.
const MAX_AHEAD: TimeDelta = TimeDelta::seconds(60);
/// The longest token that is read, in bytes.
const MAX_TOKEN_BYTES: usize = 4_096;
/// The longest key id, in characters.
const MAX_KEY_ID_LENGTH: usize = 128;

/// What a webhook says.
#[derive(Debug, Clone, Deserialize)]
pub struct PlaidWebhook {
    /// `ITEM`, `AUTH`, or what else Plaid names.
    #[serde(rename = "webhook_type")]
    pub kind: String,
    /// What happened.
    #[serde(rename = "webhook_code")]
    pub code: String,
    /// The link that it is about.
    pub item_id: Option<String>,
    /// The account that it is about, where it is about one.
    pub account_id: Option<String>,
    /// The error that it reports.
    pub error: Option<WebhookError>,
}

/// An error of a link.
#[derive(Debug, Clone, Deserialize)]
pub struct WebhookError {
    /// Plaid's code.
    pub error_code: String,
}

#[derive(Clone, Deserialize)]
struct Claims {
    iat: i64,
    request_body_sha256: String,
}

/// The id of the key that a webhook says it is signed with; none when it isn't signed as Plaid does it.
pub fn key_id(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN_BYTES || token.split('.').count() != 3 {
        return None;
    }
    let header = jwt::header(token)?;
    let key_id = header
        .kid
        .filter(|id| (1..=MAX_KEY_ID_LENGTH).contains(&id.len()));
    key_id.filter(|_| header.alg == "ES256")
}

/// When the webhook was signed, if it was signed with this key, over this very body, and lately.
pub fn verify(token: &str, key: &WebhookKey, body: &[u8], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let is_retired = key.expired_at.is_some_and(|at| at <= now.timestamp());
    if key.alg != "ES256" || is_retired {
        return None;
    }
    // A key fits one algorithm; the header chooses none.
    if jwt::header(token)?.alg != key.alg {
        return None;
    }
    let claims: Claims = jwt::verified_es256(token, &key.x, &key.y)?;
    let signed_at = DateTime::from_timestamp(claims.iat, 0)?;
    let is_fresh = now - signed_at <= MAX_AGE && signed_at - now <= MAX_AHEAD;
    let digest = hex::encode(Sha256::digest(body));
    (is_fresh && claims.request_body_sha256 == digest).then_some(signed_at)
}
