//! A request as the event that API Gateway's HTTP API gives a function, payload format 2.0.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::http::{HeaderMap, header, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    authorize::Identity,
    routes::{Found, decode},
};
use crate::util::set;

const API_ID: &str = "local";
const ACCOUNT: &str = "000000000000";

pub(super) fn build(
    parts: &Parts,
    body: &[u8],
    found: &Found<'_>,
    identity: Option<&Identity>,
    client: SocketAddr,
    now: DateTime<Utc>,
) -> Value {
    let route_key = format!(
        "{} {}",
        found.route.definition.method, found.route.definition.path
    );
    // The HTTP API hands the path on decoded, the query as it came.
    let path = decode(parts.uri.path());
    let query = parts.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&parts.headers),
        "requestContext": context(parts, &path, &route_key, identity, client, now),
        "isBase64Encoded": false,
    });
    // What is empty isn't there at all.
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        set(&mut event, "cookies", json!(cookies));
    }
    let query = query_parameters(query);
    if !query.is_empty() {
        set(&mut event, "queryStringParameters", json!(query));
    }
    if !found.parameters.is_empty() {
        set(&mut event, "pathParameters", json!(found.parameters));
    }
    if !body.is_empty() {
        let (body, encoded) = body_text(&parts.headers, body);
        set(&mut event, "body", Value::String(body));
        set(&mut event, "isBase64Encoded", Value::Bool(encoded));
    }
    event
}

fn context(
    parts: &Parts,
    path: &str,
    route_key: &str,
    identity: Option<&Identity>,
    client: SocketAddr,
    now: DateTime<Utc>,
) -> Value {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let mut context = json!({
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": text(header::HOST).unwrap_or("localhost"),
        "domainPrefix": API_ID,
        "http": {
            "method": parts.method.as_str(),
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": client.ip().to_string(),
            "userAgent": text(header::USER_AGENT).unwrap_or_default(),
        },
        "requestId": Uuid::now_v7().to_string(),
        "routeKey": route_key,
        "stage": "$default",
        "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "timeEpoch": now.timestamp_millis(),
    });
    if let Some(identity) = identity {
        let scopes = (!identity.scopes.is_empty()).then_some(&identity.scopes);
        let authorizer = json!({ "jwt": { "claims": identity.claims, "scopes": scopes } });
        set(&mut context, "authorizer", authorizer);
    }
    context
}

/// Names in lower case, values of one name joined with a comma; cookies have a place of their own.
fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        if name != header::COOKIE {
            add(
                &mut joined,
                name.as_str(),
                &String::from_utf8_lossy(value.as_bytes()),
            );
        }
    }
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(';'))
        .map(|cookie| cookie.trim().to_owned())
        .collect()
}

fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let mut joined = BTreeMap::new();
    for (name, value) in pairs {
        add(&mut joined, &name, &value);
    }
    joined
}

fn add(joined: &mut BTreeMap<String, String>, name: &str, value: &str) {
    let text = joined
        .entry(name.to_owned())
        .and_modify(|text| text.push(','))
        .or_default();
    text.push_str(value);
}

/// Text stays as it is; anything else becomes base64, also what nobody says the kind of.
fn body_text(headers: &HeaderMap, body: &[u8]) -> (String, bool) {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_text = kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || ["application/json", "application/xml", "application/javascript"].contains(&kind.as_str());
    match std::str::from_utf8(body) {
        Ok(text) if is_text => (text.to_owned(), false),
        _ => (STANDARD.encode(body), true),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::Map;

    use super::*;
    use crate::{
        gateway::routes::Routes,
        template::{Locals, Template},
    };

    const TEMPLATE: &str = r#"
Resources:
  Show: {Type: "AWS::Serverless::Function", Properties: {CodeUri: show}}
  Integration: {Type: "AWS::ApiGatewayV2::Integration", Properties: {IntegrationUri: !GetAtt Show.Arn}}
  Route: {Type: "AWS::ApiGatewayV2::Route", Properties: {RouteKey: "POST /orders/{id}", Target: integrations/Integration}}
"#;

    fn event(request: http::request::Builder, body: &[u8]) -> Value {
        let (parts, ()) = request.method("POST").body(()).unwrap().into_parts();
        let routes = Routes::new(&Template::parse(TEMPLATE, &Locals::default()).unwrap());
        let found = routes.find(&parts.method, parts.uri.path()).unwrap();
        let claims = Map::from_iter([("profile_id".to_owned(), json!("7"))]);
        let identity = Identity {
            claims,
            scopes: vec!["wallets".to_owned()],
        };
        build(
            &parts,
            body,
            &found,
            Some(&identity),
            SocketAddr::from(([127, 0, 0, 1], 5000)),
            Utc::now(),
        )
    }

    #[test]
    fn a_request_becomes_an_event_of_format_2() {
        let request = Request::builder()
            .uri("/orders/a%20b?tag=x&tag=y&name=J%26J")
            .header("Content-Type", "application/json; charset=utf-8")
            .header("X-Trace", "1")
            .header("X-Trace", "2")
            .header("Cookie", "a=1; b=2")
            .header("User-Agent", "test");
        let mut event = event(request, br#"{"amount":1}"#);
        let time = event["requestContext"]
            .as_object_mut()
            .unwrap()
            .remove("time")
            .unwrap();
        assert!(time.as_str().unwrap().ends_with(" +0000"), "{time}");
        for name in ["timeEpoch", "requestId"] {
            assert!(
                event["requestContext"]
                    .as_object_mut()
                    .unwrap()
                    .remove(name)
                    .is_some()
            );
        }
        let expected = json!({
            "version": "2.0",
            "routeKey": "POST /orders/{id}",
            "rawPath": "/orders/a b",
            "rawQueryString": "tag=x&tag=y&name=J%26J",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "content-type": "application/json; charset=utf-8",
                "user-agent": "test",
                "x-trace": "1,2",
            },
            "queryStringParameters": { "tag": "x,y", "name": "J&J" },
            "pathParameters": { "id": "a b" },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "authorizer": { "jwt": { "claims": { "profile_id": "7" }, "scopes": ["wallets"] } },
                "domainName": "localhost",
                "domainPrefix": "local",
                "http": {
                    "method": "POST",
                    "path": "/orders/a b",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "test",
                },
                "routeKey": "POST /orders/{id}",
                "stage": "$default",
            },
            "body": "{\"amount\":1}",
            "isBase64Encoded": false,
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn a_body_that_is_no_text_is_encoded() {
        for kind in [
            Some("application/octet-stream"),
            Some("application/x-www-form-urlencoded"),
            Some("application/json"),
            None,
        ] {
            let mut request = Request::builder().uri("/orders/1");
            if let Some(kind) = kind {
                request = request.header("Content-Type", kind);
            }
            let event = event(request, &[0, 255]);
            assert_eq!(event["body"], "AP8=", "{kind:?}");
            assert_eq!(event["isBase64Encoded"], true, "{kind:?}");
        }
    }

    #[test]
    fn a_body_is_text_only_if_its_sender_says_so() {
        let event_of = |kind: Option<&str>| {
            let mut request = Request::builder().uri("/orders/1");
            if let Some(kind) = kind {
                request = request.header("Content-Type", kind);
            }
            event(request, b"{}")
        };
        let event = event_of(None);
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!("e30="), &json!(true))
        );
        for kind in [
            "application/json",
            "text/plain",
            "Application/Problem+JSON; charset=utf-8",
        ] {
            let event = event_of(Some(kind));
            assert_eq!(
                (&event["body"], &event["isBase64Encoded"]),
                (&json!("{}"), &json!(false)),
                "{kind}"
            );
        }
    }

    #[test]
    fn the_typed_event_of_the_functions_reads_it() {
        let event = event(Request::builder().uri("/orders/1"), b"");
        let typed: aws_lambda_events::apigw::ApiGatewayV2httpRequest = serde_json::from_value(event).unwrap();
        assert_eq!(typed.path_parameters.get("id").map(String::as_str), Some("1"));
        assert_eq!(typed.body, None);
    }
}
