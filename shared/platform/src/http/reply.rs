//! Answers of HTTP operations.

use std::marker::PhantomData;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::ApiGatewayV2httpResponse;
use http::HeaderMap;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use serde::Serialize;
use serde_json::Value;

use crate::idempotency::KeptAnswer;
use crate::problem::Problem;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// With what isn't possible at the moment: in seconds, longer than most hiccups last.
const SHORTLY: HeaderValue = HeaderValue::from_static("5");

/// An answer whose body is a `T`.
#[derive(Debug)]
pub struct Reply<T> {
    status: u16,
    body: Value,
    replayed: bool,
    of: PhantomData<T>,
}

impl<T: Serialize> Reply<T> {
    /// 200 with a body.
    ///
    /// # Errors
    /// When the body can't be written as JSON.
    pub fn ok(body: &T) -> Result<Self, Problem> {
        Self::with_status(200, body)
    }

    /// An answer with the given status.
    ///
    /// # Errors
    /// When the body can't be written as JSON.
    pub fn with_status(status: u16, body: &T) -> Result<Self, Problem> {
        let body = serde_json::to_value(body).map_err(|_| Problem::internal())?;
        Ok(Self {
            status,
            body,
            replayed: false,
            of: PhantomData,
        })
    }

    /// An answer that is kept under an idempotency key; `replayed` says whether this is a repetition.
    pub fn kept(answer: KeptAnswer, replayed: bool) -> Self {
        Self {
            status: answer.status,
            body: answer.body,
            replayed,
            of: PhantomData,
        }
    }

    pub(super) fn into_response(self) -> ApiGatewayV2httpResponse {
        let content_type = if self.status >= 400 { PROBLEM } else { JSON };
        let mut response = response(self.status, content_type, self.body.to_string());
        if self.replayed {
            let name = HeaderName::from_static("idempotency-replayed");
            response.headers.insert(name, HeaderValue::from_static("true"));
        }
        response
    }
}

/// The answer that a problem gives.
pub(super) fn problem(problem: &Problem) -> ApiGatewayV2httpResponse {
    // A problem holds strings and numbers only, so it can always be written.
    let body = serde_json::to_string(problem).unwrap_or_default();
    response(problem.status, PROBLEM, body)
}

fn response(status: u16, content_type: HeaderValue, body: String) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == 503 {
        headers.insert(RETRY_AFTER, SHORTLY);
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
        assert_eq!(retry_after(&Problem::timed_out(false)), Some(SHORTLY));
        assert_eq!(retry_after(&Problem::internal()), None);
    }
}
