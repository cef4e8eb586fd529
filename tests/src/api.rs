//! The HTTP API as an app sees it.

use anyhow::Context;
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use crate::Result;

/// A client, with a token or without.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// A header's text; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Gives the answer on if it has this status.
    ///
    /// # Errors
    /// With the answer, if it hasn't.
    pub fn expect(self, status: u16) -> Result<Self> {
        anyhow::ensure!(
            self.status == status,
            "expected {status}, got {}: {}",
            self.status,
            self.text
        );
        Ok(self)
    }

    /// Gives the answer on if it is a problem with this status and code.
    ///
    /// # Errors
    /// With the answer, if it isn't.
    pub fn expect_problem(self, status: u16, code: &str) -> Result<Self> {
        let answer = self.expect(status)?;
        let kind = answer.header("content-type");
        anyhow::ensure!(
            kind.starts_with("application/problem+json"),
            "content-type {kind:?}: {}",
            answer.text
        );
        let of_code = answer.body["code"] == code;
        anyhow::ensure!(of_code, "expected the problem {code}: {}", answer.text);
        Ok(answer)
    }

    /// A whole number in the body.
    ///
    /// # Errors
    /// With the answer, if there is none.
    pub fn number(&self, field: &str) -> Result<i64> {
        let number = self.body[field].as_i64();
        number.with_context(|| format!("no number {field} in {}", self.text))
    }
}

impl Api {
    /// A client of the API at `url`.
    pub fn new(http: reqwest::Client, url: String, token: Option<String>) -> Self {
        Self { http, url, token }
    }

    /// The same API with another token, or none.
    #[must_use]
    pub fn with_token(&self, token: Option<String>) -> Self {
        Self {
            token,
            ..self.clone()
        }
    }

    /// `GET`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of a JSON body under an idempotency key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        let request = self.request(Method::POST, path);
        self.send(request.header("Idempotency-Key", key).json(body)).await
    }

    /// `PUT` of a JSON body.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `POST` of any body with any headers.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post_raw(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer> {
        let request = self.request(Method::POST, path).body(body);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request).await
    }

    /// A request to build on, with the token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await.context("the API gave no answer")?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer {
            status,
            headers,
            text,
            body,
        })
    }
}
