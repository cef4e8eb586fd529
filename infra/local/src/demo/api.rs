//! The story's side of the API: what an app or a service would send.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for what it doesn't have"
)]

use anyhow::bail;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::checks::until;
use crate::{LocalCloud, customers::Customer};

/// A client with somebody's token.
pub(super) struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// A file that was asked for.
pub(super) struct File {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Api {
    /// With the customer's token.
    pub(super) fn new(cloud: &LocalCloud, customer: &Customer) -> anyhow::Result<Self> {
        Self::with_claims(cloud, json!({ "profile_id": customer.profile_id }))
    }

    /// With a token of these claims.
    pub(super) fn with_claims(cloud: &LocalCloud, claims: Value) -> anyhow::Result<Self> {
        Ok(Self {
            http: crate::http_client()?,
            url: cloud.url(),
            token: cloud.mint_token(claims)?,
        })
    }

    pub(super) async fn post(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("Idempotency-Key", key)
            .json(body);
        self.send(request).await
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self.http.put(format!("{}{path}", self.url));
        self.send(request.json(body)).await
    }

    /// What is under the path, as a PDF.
    pub(super) async fn pdf(&self, path: &str) -> anyhow::Result<File> {
        let request = self.http.get(format!("{}{path}", self.url));
        let request = request.header(ACCEPT, "application/pdf");
        let response = request.bearer_auth(&self.token).send().await?;
        let media_type = response.headers().get(CONTENT_TYPE);
        Ok(File {
            media_type: media_type.map_or(Ok(""), HeaderValue::to_str)?.to_owned(),
            bytes: response.bytes().await?.into(),
        })
    }

    /// Waits until the history shows the flow in the given status.
    pub(super) async fn flow_reaches(&self, id: &Value, status: &str) -> anyhow::Result<Value> {
        if id.is_null() {
            bail!("the API gave no id of the money flow");
        }
        until(|| async { self.flow(id).await.is_ok_and(|flow| flow["status"] == status) }).await;
        self.flow(id).await
    }

    async fn flow(&self, id: &Value) -> anyhow::Result<Value> {
        let history = self.get("/trading/history/money-flow").await?.body;
        let items = history["items"].as_array().cloned().unwrap_or_default();
        Ok(items
            .into_iter()
            .find(|flow| flow["id"] == *id)
            .unwrap_or_default())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.bearer_auth(&self.token).send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: response.json().await?,
        })
    }
}
