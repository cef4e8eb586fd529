//! The HTTP API: the template's routes as API Gateway serves them, and the local cloud's own: those under `/local`, Lambda's
//! for invocations, the documentation, and the issuer's keys. Beside it, the app's API in GraphQL with its
//! subscriptions.

mod authorize;
mod discovery;
mod docs;
mod event;
mod graphql;
mod invoke;
mod local;
mod realtime;
mod response;
mod routes;
mod signature;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use self::{authorize::Denied, routes::Routes};
use crate::{
    guard,
    progress::Answered,
    running::Running,
    runtime::{InvocationResult, MAX_PAYLOAD_BYTES, Throttled, WhenBusy},
};

/// How long API Gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The header with which functions say what their logs call the request's work.
const CORRELATION_HEADER: &str = "x-correlation-id";

/// The running gateway.
pub(crate) struct Gateway {
    task: JoinHandle<()>,
}

struct Api {
    cloud: Arc<Running>,
    routes: Routes,
}

impl Gateway {
    pub(crate) fn start(listener: TcpListener, cloud: Arc<Running>) -> Self {
        let api = Arc::new(Api {
            routes: Routes::new(&cloud.template),
            cloud: Arc::clone(&cloud),
        });
        let own = Router::new()
            .nest("/local", local::router())
            .merge(invoke::router())
            .merge(docs::router())
            .merge(discovery::router())
            .merge(graphql::page())
            .layer(axum::middleware::from_fn(guard::layer));
        let router = own
            .merge(graphql::router())
            .merge(realtime::router())
            .with_state(cloud)
            .fallback(axum::routing::any(serve).with_state(api))
            .layer(DefaultBodyLimit::max(MAX_PAYLOAD_BYTES));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!(%error, "serving the HTTP API failed");
            }
        });
        Self { task }
    }

    pub(crate) async fn stop(self) {
        self.task.abort();
        // It was aborted, so that is the only way it can end.
        let _ = self.task.await;
    }
}

async fn serve(
    State(api): State<Arc<Api>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let served = answer(&api, &parts, body, client).await;
    let text = |name: &str| served.response.headers().get(name)?.to_str().ok();
    api.cloud.console.request(&Answered {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        status: served.response.status().as_u16(),
        took: begun.elapsed(),
        function: served.function.as_deref(),
        request_id: served.request_id.as_deref(),
        correlation_id: text(CORRELATION_HEADER),
        error: served.error.as_deref(),
    });
    served.response
}

/// A response, and what is said of it.
struct Served {
    response: Response,
    function: Option<String>,
    request_id: Option<String>,
    error: Option<String>,
}

impl Served {
    /// One of the gateway's own, as API Gateway phrases it.
    fn by_gateway(status: StatusCode, text: &str) -> Self {
        Self {
            response: message(status, text),
            function: None,
            request_id: None,
            error: Some(text.to_owned()),
        }
    }

    fn of(self, function: &str) -> Self {
        Self {
            function: Some(function.to_owned()),
            ..self
        }
    }
}

async fn answer(api: &Api, parts: &Parts, body: Body, client: SocketAddr) -> Served {
    let Some(found) = api.routes.find(&parts.method, parts.uri.path()) else {
        return Served::by_gateway(StatusCode::NOT_FOUND, "Not Found");
    };
    let function = found.route.function.as_str();
    let identity = match authorize::check(found.route, &parts.headers, &api.cloud.issuer) {
        Ok(identity) => identity,
        Err(Denied::Unauthorized) => {
            let mut served = Served::by_gateway(StatusCode::UNAUTHORIZED, "Unauthorized").of(function);
            let headers = served.response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return served;
        }
        Err(Denied::Forbidden) => return Served::by_gateway(StatusCode::FORBIDDEN, "Forbidden").of(function),
    };
    let Some(body) = read_all(body).await else {
        let served = Served::by_gateway(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large").of(function);
        return Served {
            response: too_large(),
            ..served
        };
    };
    let now = api.cloud.clock.now();
    let event = event::build(parts, &body, &found, identity.as_ref(), client, now);
    let invocation = api.cloud.runtime.invoke_when(function, &event, WhenBusy::Refuse);
    let served = match tokio::time::timeout(INTEGRATION_TIMEOUT, invocation).await {
        Ok(Ok(result)) => of_function(result),
        Ok(Err(error)) if error.is::<Throttled>() => {
            Served::by_gateway(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Ok(Err(error)) => {
            tracing::error!(function, "invoking the function failed: {error:#}");
            Served::by_gateway(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Err(_) => Served::by_gateway(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    };
    served.of(function)
}

fn of_function(result: InvocationResult) -> Served {
    let request_id = Some(result.request_id);
    if let Some(error) = result.function_error {
        return Served {
            request_id,
            error: Some(error),
            ..Served::by_gateway(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        };
    }
    Served {
        error: response::code(&result.payload),
        response: response::build(result.payload),
        function: None,
        request_id,
    }
}

/// A response of the gateway's own, as API Gateway phrases it.
fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "message": text }))).into_response()
}

/// A body, unless it breaks off or is too large. One that is too large is read to its end all the same: whoever is still
/// sending when the connection closes sees that, and not the answer.
async fn read_all(body: Body) -> Option<Bytes> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        length = length.saturating_add(chunk.len());
        if length <= MAX_PAYLOAD_BYTES {
            bytes.extend_from_slice(&chunk);
        }
    }
    (length <= MAX_PAYLOAD_BYTES).then(|| bytes.into())
}

/// As the functions phrase it, which refuse smaller bodies than the gateway.
fn too_large() -> Response {
    let message = format!("is larger than {MAX_PAYLOAD_BYTES} bytes");
    let body = json!({
        "type": "urn:moneta:problem:body-too-large",
        "title": "Content too large",
        "status": 413,
        "code": "body-too-large",
        "detail": format!("The body {message}."),
        "errors": [{ "field": "body", "message": message }],
    });
    let body = Bytes::from(body.to_string());
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body,
    )
        .into_response()
}
