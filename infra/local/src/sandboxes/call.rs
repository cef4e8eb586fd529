//! A call to a sandbox and the reply, without the HTTP library's types.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long the first half of a truncated answer has to leave before the connection breaks.
const FLUSH_WITHIN: Duration = Duration::from_millis(50);

/// A call, with the path as the outside party would see it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    /// The query string without the question mark; empty if there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// A header's value, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path's segments.
    pub(super) fn segments(&self) -> Vec<&str> {
        segments(&self.path)
    }

    /// The JSON body; an empty one counts as an empty object.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    /// The JSON body of a call under `/control`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        self.json().map_err(anyhow::Error::msg)
    }
}

/// The parts of a path between its slashes.
pub(super) fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

/// How much of a reply reaches the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// Half of the body, then the connection breaks.
    Truncated,
    /// Nothing: the connection is closed.
    Nothing,
}

/// Marks a response that must not be sent: the server closes the connection instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct CloseConnection;

/// A reply.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    pub(super) delivery: Delivery,
}

impl Reply {
    /// A reply with a JSON body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    /// A JSON answer that is text already.
    pub(super) fn text(status: u16, body: String) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            delivery: Delivery::Whole,
        }
    }

    /// The answer 200 with a JSON body.
    pub(super) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    /// The answer of a control route to a request it can't follow.
    pub(super) fn control_error(status: u16, message: impl std::fmt::Display) -> Self {
        Self::json(status, &json!({ "message": message.to_string() }))
    }

    /// No answer at all.
    pub(super) fn nothing() -> Self {
        Self {
            delivery: Delivery::Nothing,
            ..Self::text(500, String::new())
        }
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The response to hand to the server.
    pub(super) fn into_response(self) -> Response {
        let length = self.body.len();
        let body = match self.delivery {
            Delivery::Truncated => half(self.body),
            Delivery::Whole | Delivery::Nothing => Body::from(self.body),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if self.delivery == Delivery::Nothing {
            response.extensions_mut().insert(CloseConnection);
        }
        response
    }
}

fn half(body: String) -> Body {
    let mut bytes = Bytes::from(body);
    bytes.truncate(bytes.len() / 2);
    let first = futures::stream::once(async move { Ok(bytes) });
    let broken = futures::stream::once(async {
        tokio::time::sleep(FLUSH_WITHIN).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(first.chain(broken))
}
