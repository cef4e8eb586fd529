//! Replies of HTTP operations.

use std::marker::PhantomData;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::ApiGatewayV2httpResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const PDF: HeaderValue = HeaderValue::from_static("application/pdf");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// With what isn't possible at the moment: in seconds, longer than most hiccups last.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// A value, and whether an earlier request with the same key made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayable<T> {
    /// The value.
    pub value: T,
    /// Whether this repeats what was answered before; the response says `Idempotency-Replayed: true` then.
    pub replayed: bool,
}

impl<T> Replayable<T> {
    /// A value that was made now.
    pub fn new(value: T) -> Self {
        Self {
            value,
            replayed: false,
        }
    }

    /// A value that was made before.
    pub fn replayed(value: T) -> Self {
        Self {
            value,
            replayed: true,
        }
    }

    /// The same with another value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Replayable<U> {
        Replayable {
            value: convert(self.value),
            replayed: self.replayed,
        }
    }
}

impl<T: Serialize> Replayable<T> {
    /// The reply with this status, the first time and every time after it.
    ///
    /// # Errors
    /// When the value can't be written as JSON.
    pub fn into_reply(self, status: u16) -> Result<Reply<T>, Problem> {
        Ok(Reply::with_status(status, &self.value)?.replayed(self.replayed))
    }
}

/// A response that is stored under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Value,
}

/// A reply whose body is a `T`, or a file that says the same.
#[derive(Debug)]
pub struct Reply<T> {
    status: u16,
    body: Content,
    replayed: bool,
    of: PhantomData<T>,
}

#[derive(Debug)]
enum Content {
    Json(Value),
    Csv { file_name: String, text: String },
    Pdf { file_name: String, bytes: Vec<u8> },
}

impl<T: Serialize> Reply<T> {
    /// 200 with a body.
    ///
    /// # Errors
    /// When the body can't be written as JSON.
    pub fn ok(body: &T) -> Result<Self, Problem> {
        Self::with_status(200, body)
    }

    /// A reply with the given status.
    ///
    /// # Errors
    /// When the body can't be written as JSON.
    pub fn with_status(status: u16, body: &T) -> Result<Self, Problem> {
        let body = serde_json::to_value(body).map_err(|_| Problem::internal())?;
        Ok(Self {
            status,
            body: Content::Json(body),
            replayed: false,
            of: PhantomData,
        })
    }

    /// A response that is stored under an idempotency key.
    pub fn stored(response: Replayable<StoredResponse>) -> Self {
        Self {
            status: response.value.status,
            body: Content::Json(response.value.body),
            replayed: response.replayed,
            of: PhantomData,
        }
    }

    /// The same reply, marked as a repetition of an earlier one or not.
    #[must_use]
    pub fn replayed(self, replayed: bool) -> Self {
        Self { replayed, ..self }
    }

    /// 200 with a file of comma-separated values, the first line its header. In the file's name everything but ASCII
    /// letters, digits, `.`, `-` and `_` becomes `_`, so that it can't end the header it stands in.
    pub fn csv(file_name: &str, text: String) -> Self {
        let file_name = file_name.chars().map(plain).collect();
        Self {
            status: 200,
            body: Content::Csv { file_name, text },
            replayed: false,
            of: PhantomData,
        }
    }

    /// 200 with a PDF; its name as in [`csv`](Self::csv).
    pub fn pdf(file_name: &str, bytes: Vec<u8>) -> Self {
        let file_name = file_name.chars().map(plain).collect();
        Self {
            status: 200,
            body: Content::Pdf { file_name, bytes },
            replayed: false,
            of: PhantomData,
        }
    }

    pub(crate) fn into_response(self) -> ApiGatewayV2httpResponse {
        let mut response = match self.body {
            Content::Json(body) => {
                let content_type = if self.status >= 400 { PROBLEM } else { JSON };
                response(self.status, content_type, body.to_string())
            }
            Content::Csv { file_name, text } => named(response(self.status, CSV, text), &file_name),
            Content::Pdf { file_name, bytes } => {
                let mut response = response(self.status, PDF, STANDARD.encode(bytes));
                response.is_base64_encoded = true;
                named(response, &file_name)
            }
        };
        if self.replayed {
            let name = HeaderName::from_static("idempotency-replayed");
            response.headers.insert(name, HeaderValue::from_static("true"));
        }
        response
    }
}

/// The response as a file of this name.
fn named(mut response: ApiGatewayV2httpResponse, file_name: &str) -> ApiGatewayV2httpResponse {
    let disposition = format!("attachment; filename=\"{file_name}\"");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        response.headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

fn plain(character: char) -> char {
    match character {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '-' | '_' => character,
        _ => '_',
    }
}

/// The answer that a problem gives.
pub(crate) fn problem(problem: &Problem) -> ApiGatewayV2httpResponse {
    // A problem holds strings and numbers only, so it can always be written.
    let body = serde_json::to_string(problem).unwrap_or_default();
    response(problem.status, PROBLEM, body)
}

fn response(status: u16, content_type: HeaderValue, body: String) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == 503 {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status);
    response.headers = headers;
    response.body = Some(Body::Text(body));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_says_when() {
        let retry_after = |answer: &Problem| problem(answer).headers.get(RETRY_AFTER).cloned();
        assert_eq!(retry_after(&Problem::timed_out(false)), Some(RETRY_AFTER_SECONDS));
        assert_eq!(retry_after(&Problem::internal()), None);
    }

    #[test]
    fn a_file_of_values_is_an_attachment_that_nobody_keeps() {
        let text = "at,amount\r\n2026-11-01,\"1,50 €\"\r\n";
        let response = Reply::<Value>::csv("statement-7_2026.csv", text.to_owned()).into_response();
        assert_eq!(response.status_code, 200);
        assert_eq!(
            response.headers[CONTENT_TYPE],
            "text/csv; charset=utf-8; header=present"
        );
        let disposition = "attachment; filename=\"statement-7_2026.csv\"";
        assert_eq!(response.headers[CONTENT_DISPOSITION], disposition);
        assert_eq!(response.headers[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.body, Some(Body::Text(text.to_owned())));
    }

    #[test]
    fn a_file_name_can_not_leave_its_quotes() {
        let response = Reply::<Value>::csv("a\"; b=/ü\r\n.csv", String::new()).into_response();
        let disposition = "attachment; filename=\"a___b_____.csv\"";
        assert_eq!(response.headers[CONTENT_DISPOSITION], disposition);
    }
}
