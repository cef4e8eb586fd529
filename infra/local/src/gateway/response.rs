//! A function's answer as an HTTP response, by the rules of payload format 2.0.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::message;

pub(super) fn build(payload: Value) -> Response {
    let Some(status) = payload.get("statusCode") else {
        return inferred(&payload);
    };
    match parse(&payload, status) {
        Some(response) => response,
        None => {
            tracing::error!("reading the function's HTTP response failed: {payload}");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// The code of the problem (RFC 9457) that an answer is, if it is one.
pub(super) fn code(payload: &Value) -> Option<String> {
    let body: Value = serde_json::from_str(payload.get("body")?.as_str()?).ok()?;
    let is_problem = body.get("status").is_some_and(Value::is_u64);
    is_problem.then(|| Some(body.get("code")?.as_str()?.to_owned()))?
}

/// Without a status the whole answer is the JSON body of a 200.
fn inferred(payload: &Value) -> Response {
    let body = match payload {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn parse(payload: &Value, status: &Value) -> Option<Response> {
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    let body = match payload.get("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) if payload.get("isBase64Encoded") == Some(&Value::Bool(true)) => {
            STANDARD.decode(text).ok()?
        }
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(_) => return None,
    };
    let mut response = Response::builder().status(status).body(Body::from(body)).ok()?;
    let headers = response.headers_mut();
    for (name, value) in payload
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        headers.insert(
            HeaderName::try_from(name).ok()?,
            HeaderValue::try_from(text).ok()?,
        );
    }
    // The gateway counts the bytes itself.
    headers.remove(header::CONTENT_LENGTH);
    if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
    }
    for cookie in payload
        .get("cookies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        headers.append(header::SET_COOKIE, HeaderValue::try_from(cookie.as_str()?).ok()?);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn read(payload: Value) -> (StatusCode, Vec<(String, String)>, String) {
        let response = build(payload);
        let status = response.status();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_answer_with_a_status_is_the_response() {
        let answer = json!({
            "statusCode": 201,
            "headers": { "Content-Type": "application/json", "X-Count": 2, "Content-Length": "999" },
            "cookies": ["a=1", "b=2"],
            "body": "e30=",
            "isBase64Encoded": true,
        });
        let (status, mut headers, body) = read(answer).await;
        headers.sort();
        assert_eq!((status.as_u16(), body.as_str()), (201, "{}"));
        let expected = [
            ("content-type", "application/json"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x-count", "2"),
        ];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[tokio::test]
    async fn a_file_goes_on_unharmed() {
        let headers = [
            ("cache-control", "no-store"),
            ("content-disposition", "attachment; filename=\"statement.csv\""),
            ("content-type", "text/csv; charset=utf-8; header=present"),
        ];
        let text = "at,amount\r\n2026-11-01,\"1,50 €\"\r\n";
        let answer = json!({
            "statusCode": 200,
            "headers": headers.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "body": text,
            "isBase64Encoded": false,
        });
        let (status, mut got, body) = read(answer).await;
        got.sort();
        assert_eq!((status.as_u16(), body.as_str()), (200, text));
        assert_eq!(
            got,
            headers.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[tokio::test]
    async fn an_answer_without_a_status_is_the_body() {
        let (status, _, body) = read(json!({ "ok": true })).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, r#"{"ok":true}"#));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_response_is_an_internal_error() {
        for answer in [
            json!({ "statusCode": "many" }),
            json!({ "statusCode": 200, "body": {} }),
        ] {
            let (status, _, body) = read(answer).await;
            assert_eq!(
                (status.as_u16(), body.as_str()),
                (500, r#"{"message":"Internal Server Error"}"#)
            );
        }
    }
}
