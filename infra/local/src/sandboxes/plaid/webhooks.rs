//! Webhooks: signed as Plaid signs them (ES256 over the body's digest), with keys that are rotated.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::PlaidSandbox;

/// The keys that webhooks are signed with; the last one is in use.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SigningKeys(Vec<SigningKey>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SigningKey {
    id: String,
    pkcs8: String,
    created: DateTime<Utc>,
    expired: Option<DateTime<Utc>>,
}

impl SigningKey {
    fn new(now: DateTime<Utc>) -> anyhow::Result<Self> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let document = document.ok().context("no key can be made")?;
        Ok(Self {
            id: Uuid::new_v4().to_string(),
            pkcs8: STANDARD.encode(document.as_ref()),
            created: now,
            expired: None,
        })
    }

    fn der(&self) -> anyhow::Result<Vec<u8>> {
        Ok(STANDARD.decode(&self.pkcs8)?)
    }

    fn public(&self) -> Option<Value> {
        let der = self.der().ok()?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new()).ok()?;
        // A point as 4, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = point.get(1..)?.split_at_checked(32)?;
        Some(json!({
            "alg": "ES256", "crv": "P-256", "kty": "EC", "use": "sig", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            "created_at": self.created.timestamp(), "expired_at": self.expired.map(|at| at.timestamp()),
        }))
    }
}

impl SigningKeys {
    /// The public half of a key.
    pub(super) fn public(&self, id: &str) -> Option<Value> {
        self.0.iter().find(|key| key.id == id)?.public()
    }

    fn current(&mut self, now: DateTime<Utc>) -> anyhow::Result<SigningKey> {
        if let Some(key) = self.0.last() {
            return Ok(key.clone());
        }
        let key = SigningKey::new(now)?;
        self.0.push(key.clone());
        Ok(key)
    }
}

/// A webhook to send.
#[derive(Debug, Clone, Deserialize)]
pub struct NewWebhook {
    /// The link that it is about.
    pub item_id: String,
    /// `ITEM` or `AUTH`.
    pub webhook_type: String,
    /// What happened: `ERROR`.
    pub webhook_code: String,
    /// The error that it reports.
    pub error_code: Option<String>,
    /// The account that it is about.
    pub account_id: Option<String>,
}

impl NewWebhook {
    /// A webhook about a link.
    pub fn new(item_id: &str, webhook_type: &str, webhook_code: &str) -> Self {
        Self {
            item_id: item_id.to_owned(),
            webhook_type: webhook_type.to_owned(),
            webhook_code: webhook_code.to_owned(),
            error_code: None,
            account_id: None,
        }
    }

    /// Its body, as it is sent.
    pub fn body(&self) -> String {
        let error = self
            .error_code
            .as_ref()
            .map(|code| json!({ "error_type": "ITEM_ERROR", "error_code": code }));
        json!({
            "webhook_type": self.webhook_type, "webhook_code": self.webhook_code, "item_id": self.item_id,
            "account_id": self.account_id, "error": error, "environment": "sandbox",
        })
        .to_string()
    }
}

impl PlaidSandbox {
    /// Signs a body as of a time, with the key in use.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn sign(&self, body: &str, at: DateTime<Utc>) -> anyhow::Result<String> {
        let key = self.lock().keys.current(at)?;
        self.changed();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(key.id.clone());
        let claims = json!({
            "iat": at.timestamp(), "request_body_sha256": hex::encode(Sha256::digest(body.as_bytes())),
        });
        Ok(jsonwebtoken::encode(
            &header,
            &claims,
            &EncodingKey::from_ec_der(&key.der()?),
        )?)
    }

    /// Another key is in use from now on; the one before it is retired.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rotate_key(&self) -> anyhow::Result<()> {
        let now = self.time();
        let new = SigningKey::new(now)?;
        let mut state = self.lock();
        for key in state.keys.0.iter_mut().filter(|key| key.expired.is_none()) {
            key.expired = Some(now);
        }
        state.keys.0.push(new);
        self.changed();
        Ok(())
    }

    /// Where webhooks go, whatever a link says.
    pub(crate) fn set_webhook_endpoint(&self, endpoint: &str) {
        self.lock().endpoint = Some(endpoint.to_owned());
    }

    /// Sends a webhook; gives the status of the response.
    ///
    /// # Errors
    /// When there is nowhere to send it to, or no response.
    pub async fn fire(&self, webhook: &NewWebhook) -> anyhow::Result<u16> {
        let body = webhook.body();
        let token = self.sign(&body, self.time())?;
        let endpoint = self.lock().endpoint.clone().context("there is no endpoint")?;
        let request = crate::http_client()?
            .post(endpoint)
            .header("content-type", "application/json")
            .header("plaid-verification", token)
            .body(body);
        Ok(request.send().await?.status().as_u16())
    }
}
