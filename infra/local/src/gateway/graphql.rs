//! `POST /graphql`: the app's API as AppSync answers it over HTTP; `/graphiql` is a page to try it.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use uuid::Uuid;

use super::{authorize::bearer, signature};
use crate::{
    graphql::{Asked, Call, Caller, Graphql, refusal},
    progress::Answered,
    running::Running,
};

const PATH: &str = "/graphql";
const PAGE: &str = include_str!("graphql/page.html");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// AppSync takes no larger request.
const MAX_BODY_BYTES: usize = 1_048_576;

/// The API itself: who may call it the token says.
pub(super) fn router() -> Router<Arc<Running>> {
    Router::new().route(PATH, post(serve))
}

/// The page, which is the local cloud's own.
pub(super) fn page() -> Router<Arc<Running>> {
    Router::new().route("/graphiql", get(|| async { Html(PAGE) }))
}

/// An answer, and what is said of it.
struct Served {
    status: StatusCode,
    body: Value,
    error: Option<String>,
}

impl Served {
    fn refused(status: StatusCode, kind: &str, message: &str) -> Self {
        Self {
            status,
            body: refusal(kind, message),
            error: Some(kind.to_owned()),
        }
    }
}

async fn serve(State(cloud): State<Arc<Running>>, headers: HeaderMap, body: Bytes) -> Response {
    let begun = Instant::now();
    let request_id = Uuid::now_v7().to_string();
    let served = match &cloud.graphql {
        Some(graphql) => answer(&cloud, graphql, &headers, &body, &request_id).await,
        None => Served::refused(
            StatusCode::NOT_FOUND,
            "NotFoundException",
            "The template has no API of AppSync.",
        ),
    };
    cloud.console.request(&Answered {
        method: "POST",
        path: PATH,
        status: served.status.as_u16(),
        took: begun.elapsed(),
        function: None,
        request_id: None,
        correlation_id: Some(&request_id),
        error: served.error.as_deref(),
    });
    let mut response = (served.status, Json(served.body)).into_response();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn answer(
    cloud: &Running,
    graphql: &Graphql,
    headers: &HeaderMap,
    body: &Bytes,
    request_id: &str,
) -> Served {
    let unauthorized =
        |message: &str| Served::refused(StatusCode::UNAUTHORIZED, "UnauthorizedException", message);
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let Some(token) = token else {
        return unauthorized("Valid authorization header not provided.");
    };
    let caller = match signature::is_signed(token) {
        true => signature::is_ours(headers, PATH, body).then_some(Caller::Function),
        false => cloud.issuer.verify(bearer(token)).ok().map(Caller::App),
    };
    let Some(caller) = caller else {
        return unauthorized("You are not authorized to make this call.");
    };
    let malformed =
        |message: &str| Served::refused(StatusCode::BAD_REQUEST, "MalformedHttpRequestException", message);
    if body.len() > MAX_BODY_BYTES {
        return malformed("The request is larger than 1 MB.");
    }
    let asked: Asked = match serde_json::from_slice(body) {
        Ok(asked) => asked,
        Err(error) => return malformed(&format!("The body is no request of GraphQL: {error}")),
    };
    let call = call_of(cloud, caller, headers, request_id);
    let answer = graphql.answer(asked, call).await;
    Served {
        status: if answer.readable {
            StatusCode::OK
        } else {
            StatusCode::BAD_REQUEST
        },
        error: answer.error().map(str::to_owned),
        body: answer.body,
    }
}

/// What the fields of a request share.
pub(super) fn call_of(cloud: &Running, caller: Caller, headers: &HeaderMap, request_id: &str) -> Call {
    Call {
        runtime: Arc::clone(&cloud.runtime),
        clock: cloud.clock.clone(),
        caller,
        headers: given(headers, request_id),
    }
}

/// The headers as the resolver sees them: names in lower case, with the request's id.
fn given(headers: &HeaderMap, request_id: &str) -> BTreeMap<String, String> {
    let texts = headers.iter().filter_map(|(name, value)| {
        let text = value.to_str().ok()?;
        Some((name.as_str().to_owned(), text.to_owned()))
    });
    let mut given: BTreeMap<String, String> = texts.collect();
    given.insert(REQUEST_ID.as_str().to_owned(), request_id.to_owned());
    given
}
