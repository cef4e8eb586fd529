//! The HTTP API: the template's routes as API Gateway serves them, and the local cloud's own under `/local`.

mod authorize;
mod docs;
mod event;
mod local;
mod response;
mod routes;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use self::{authorize::Denied, routes::Routes};
use crate::{
    running::Running,
    runtime::{MAX_PAYLOAD_BYTES, Throttled, WhenBusy},
};

/// How long API Gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The running gateway.
pub(crate) struct Gateway {
    task: JoinHandle<()>,
}

struct Api {
    cloud: Arc<Running>,
    routes: Routes,
}

impl Gateway {
    /// Takes the port.
    pub(crate) async fn bind(port: Option<u16>) -> anyhow::Result<TcpListener> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(anyhow!(
                "port {} is taken, perhaps by another local cloud: stop that one, or choose a port with --port",
                address.port()
            )),
            Err(error) => Err(error).with_context(|| format!("{address} can't be used")),
        }
    }

    pub(crate) fn start(listener: TcpListener, cloud: Arc<Running>) -> Self {
        let api = Arc::new(Api {
            routes: Routes::new(&cloud.template),
            cloud: Arc::clone(&cloud),
        });
        let router = Router::new()
            .nest("/local", local::router())
            .merge(docs::router())
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
    let (parts, body) = request.into_parts();
    let Some(found) = api.routes.find(&parts.method, parts.uri.path()) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let identity = match authorize::check(found.route, &parts.headers, &api.cloud.issuer) {
        Ok(identity) => identity,
        Err(Denied::Unauthorized) => {
            let response = message(StatusCode::UNAUTHORIZED, "Unauthorized");
            return ([(header::WWW_AUTHENTICATE, "Bearer")], response).into_response();
        }
        Err(Denied::Forbidden) => return message(StatusCode::FORBIDDEN, "Forbidden"),
    };
    let Ok(body) = axum::body::to_bytes(body, MAX_PAYLOAD_BYTES).await else {
        return too_large();
    };
    let event = event::build(&parts, &body, &found, identity.as_ref(), client);
    let invocation = api
        .cloud
        .runtime
        .invoke_when(&found.route.function, &event, WhenBusy::Refuse);
    match tokio::time::timeout(INTEGRATION_TIMEOUT, invocation).await {
        Ok(Ok(result)) if result.function_error.is_none() => response::build(result.payload),
        Ok(Ok(_)) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        Ok(Err(error)) if error.is::<Throttled>() => {
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Ok(Err(error)) => {
            tracing::error!(
                function = found.route.function,
                "invoking the function failed: {error:#}"
            );
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// A response of the gateway's own, as API Gateway phrases it.
fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "message": text }))).into_response()
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
