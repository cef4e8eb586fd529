//! Lambda's own way of calling a function, for the AWS command line and SDKs:
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
//!
//! Signatures aren't checked. An invocation of the type `Event` runs once; Lambda would try a failed one twice more.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    progress::Answered,
    running::Running,
    runtime::{InvocationResult, Throttled, WhenBusy},
    template::NAME_PREFIX,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const INVOCATION_TYPE: &str = "x-amz-invocation-type";
const LOG_TYPE: &str = "x-amz-log-type";
/// The one version that there is.
const VERSION: &str = "$LATEST";
/// How much of the log an answer carries.
const LOG_TAIL_BYTES: usize = 4096;

pub(super) fn router() -> Router<Arc<Running>> {
    Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke))
}

enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// An error of the service itself.
struct ServiceError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let by = if self.status.is_server_error() {
            "Service"
        } else {
            "User"
        };
        let body = json!({ "Type": by, "Message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        response
            .headers_mut()
            .insert(ERROR_TYPE, HeaderValue::from_static(self.kind));
        with_request_id(response, &Uuid::now_v7().to_string())
    }
}

async fn invoke(
    State(cloud): State<Arc<Running>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begun = Instant::now();
    let path = format!("/2015-03-31/functions/{name}/invocations");
    let console = cloud.console;
    let (response, error) = match answer(cloud, &name, &headers, &body).await {
        Ok(response) => {
            let failed = response.headers().contains_key(FUNCTION_ERROR);
            (response, failed.then_some("the function failed"))
        }
        Err(error) => {
            let kind = error.kind;
            (error.into_response(), Some(kind))
        }
    };
    let request_id = response.headers().get(REQUEST_ID);
    console.request(&Answered {
        method: "POST",
        path: &path,
        status: response.status().as_u16(),
        took: begun.elapsed(),
        function: Some(&name),
        request_id: request_id.and_then(|id| id.to_str().ok()),
        correlation_id: None,
        error,
    });
    response
}

async fn answer(
    cloud: Arc<Running>,
    name: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, ServiceError> {
    let function = find(&cloud, name)?;
    let kind = kind(headers)?;
    let event = event(body)?;
    match kind {
        Kind::DryRun => Ok(empty(StatusCode::NO_CONTENT, &Uuid::now_v7().to_string())),
        Kind::Event => {
            tokio::spawn(async move {
                // A failure is in the function's log.
                let _ = cloud.runtime.invoke(&function, &event).await;
            });
            Ok(empty(StatusCode::ACCEPTED, &Uuid::now_v7().to_string()))
        }
        Kind::RequestResponse => {
            let called = cloud
                .runtime
                .invoke_when(&function, &event, WhenBusy::Refuse)
                .await;
            let result = called.map_err(|error| refused(&error))?;
            let logs = asks_for_logs(headers).then(|| cloud.logs.lines(&function));
            Ok(respond(result, logs))
        }
    }
}

/// The function by its name, with or without the stage's prefix, or its ARN, whole or in part, and `$LATEST`.
fn find(cloud: &Running, name: &str) -> Result<String, ServiceError> {
    let unqualified = name.strip_suffix(":$LATEST").unwrap_or(name);
    let short = unqualified
        .rsplit_once("function:")
        .map_or(unqualified, |(_, name)| name);
    let short = short.strip_prefix(NAME_PREFIX).unwrap_or(short);
    match cloud.template.function(short) {
        Some(function) => Ok(function.binary.clone()),
        None => Err(ServiceError {
            status: StatusCode::NOT_FOUND,
            kind: "ResourceNotFoundException",
            message: format!(
                "Function not found: arn:aws:lambda:{}:000000000000:function:{short}",
                crate::backends::region()
            ),
        }),
    }
}

fn kind(headers: &HeaderMap) -> Result<Kind, ServiceError> {
    match headers
        .get(INVOCATION_TYPE)
        .map_or(b"RequestResponse".as_slice(), HeaderValue::as_bytes)
    {
        b"RequestResponse" => Ok(Kind::RequestResponse),
        b"Event" => Ok(Kind::Event),
        b"DryRun" => Ok(Kind::DryRun),
        other => Err(ServiceError {
            status: StatusCode::BAD_REQUEST,
            kind: "InvalidParameterValueException",
            message: format!(
                "The invocation type {} is none of RequestResponse, Event, DryRun",
                String::from_utf8_lossy(other)
            ),
        }),
    }
}

fn event(body: &Bytes) -> Result<Value, ServiceError> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| ServiceError {
        status: StatusCode::BAD_REQUEST,
        kind: "InvalidRequestContentException",
        message: format!("Could not parse request body into json: {error}"),
    })
}

fn refused(error: &anyhow::Error) -> ServiceError {
    if error.is::<Throttled>() {
        return ServiceError {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "TooManyRequestsException",
            message: "Rate Exceeded.".to_owned(),
        };
    }
    ServiceError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        kind: "ServiceException",
        message: format!("{error:#}"),
    }
}

fn asks_for_logs(headers: &HeaderMap) -> bool {
    headers
        .get(LOG_TYPE)
        .is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"Tail"))
}

/// What the function answered; a failure is an answer too, with a header that says so.
fn respond(result: InvocationResult, logs: Option<Vec<String>>) -> Response {
    let failed = result.function_error.is_some();
    let mut response = with_request_id(Json(result.payload).into_response(), &result.request_id);
    let headers = response.headers_mut();
    headers.insert(EXECUTED_VERSION, HeaderValue::from_static(VERSION));
    if failed {
        headers.insert(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"));
    }
    if let Some(logs) = logs
        && let Ok(tail) = HeaderValue::try_from(STANDARD.encode(tail(&logs)))
    {
        headers.insert(LOG_RESULT, tail);
    }
    response
}

/// The newest lines that fit.
fn tail(lines: &[String]) -> String {
    let mut left = LOG_TAIL_BYTES;
    let newest = lines.iter().rev().take_while(|line| {
        let fits = left.checked_sub(line.len().saturating_add(1));
        left = fits.unwrap_or(0);
        fits.is_some()
    });
    let mut newest: Vec<&str> = newest.map(String::as_str).collect();
    newest.reverse();
    newest.join("\n")
}

fn empty(status: StatusCode, request_id: &str) -> Response {
    with_request_id(status.into_response(), request_id)
}

fn with_request_id(mut response: Response, request_id: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id.clone());
        response.headers_mut().insert(AMZN_REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tail_is_the_newest_lines_that_fit() {
        let lines: Vec<String> = (0..10).map(|number| number.to_string().repeat(1000)).collect();
        let tail = tail(&lines);
        assert!(tail.len() <= LOG_TAIL_BYTES);
        assert!(tail.starts_with('6') && tail.ends_with('9'), "{tail}");
    }
}
