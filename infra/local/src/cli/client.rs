//! Talks to a running local cloud.

use std::path::Path;

use anyhow::{Context, bail};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{cloud::URL_FILE, options::Options};

pub(super) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// The local cloud at this address, or the one that the workspace's state names.
    pub(super) fn find(root: &Path, url: Option<&str>) -> anyhow::Result<Self> {
        let url = match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => match std::fs::read_to_string(Options::development_state(root).join(URL_FILE)) {
                Ok(url) => url.trim().to_owned(),
                Err(_) => bail!(
                    "no local cloud runs here: start it with `moneta up`, or give its address with --url"
                ),
            },
        };
        let http = crate::http_client()?;
        Ok(Self { http, url })
    }

    /// Whether it answers.
    pub(super) async fn answers(&self) -> bool {
        self.send(Method::GET, "/local/status", None).await.is_ok()
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        Ok(serde_json::from_value(self.send(Method::GET, path, None).await?)?)
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        Ok(serde_json::from_value(
            self.send(Method::POST, path, body).await?,
        )?)
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        Ok(serde_json::from_value(
            self.send(Method::DELETE, path, None).await?,
        )?)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| {
            format!(
                "no local cloud answers at {}: start it with `moneta up`",
                self.url
            )
        })?;
        let failed = !response.status().is_success();
        let answer: Value = response.json().await.context("the answer isn't JSON")?;
        if failed {
            let detail = answer
                .get("detail")
                .or_else(|| answer.get("message"))
                .and_then(Value::as_str);
            bail!("{}", detail.map_or_else(|| answer.to_string(), str::to_owned));
        }
        Ok(answer)
    }
}
