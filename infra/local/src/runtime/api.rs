//! The Lambda Runtime API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
//!
//! All processes share one listener; the first segment of the path says which process it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{Response, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::json;

use super::{
    MAX_PAYLOAD_BYTES,
    instance::{Instance, Reply},
};
use crate::util::lock;

/// The processes by their id.
#[derive(Default)]
pub(super) struct Instances {
    all: Mutex<HashMap<String, (String, Arc<Instance>)>>,
}

impl Instances {
    /// Starts a process under an id; it can't be looked up before it is there.
    pub(super) fn insert_with(
        &self,
        id: &str,
        function: &str,
        start: impl FnOnce() -> anyhow::Result<Arc<Instance>>,
    ) -> anyhow::Result<Arc<Instance>> {
        let mut all = lock(&self.all);
        let instance = start()?;
        all.insert(id.to_owned(), (function.to_owned(), Arc::clone(&instance)));
        Ok(instance)
    }

    pub(super) fn remove(&self, id: &str) {
        lock(&self.all).remove(id);
    }

    /// The processes of a function.
    pub(super) fn of(&self, function: &str) -> Vec<Arc<Instance>> {
        let all = lock(&self.all);
        all.values()
            .filter(|(name, _)| name == function)
            .map(|(_, instance)| Arc::clone(instance))
            .collect()
    }

    fn get(&self, id: &str) -> Option<Arc<Instance>> {
        lock(&self.all).get(id).map(|(_, instance)| Arc::clone(instance))
    }
}

pub(super) fn router(instances: Arc<Instances>) -> Router {
    Router::new()
        .route("/{instance}/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/{instance}/2018-06-01/runtime/invocation/{request}/response",
            post(response),
        )
        .route(
            "/{instance}/2018-06-01/runtime/invocation/{request}/error",
            post(error),
        )
        .route("/{instance}/2018-06-01/runtime/init/error", post(init_error))
        .with_state(instances)
}

type Known = State<Arc<Instances>>;

async fn next(State(instances): Known, Path(id): Path<String>) -> axum::response::Response {
    let Some(instance) = instances.get(&id) else {
        return unknown();
    };
    let Some(invocation) = instance.next().await else {
        return unknown();
    };
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", invocation.request_id)
        .header("Lambda-Runtime-Deadline-Ms", invocation.deadline_ms)
        .header("Lambda-Runtime-Invoked-Function-Arn", invocation.arn)
        .header("Lambda-Runtime-Trace-Id", invocation.trace_id)
        .body(Body::from(invocation.payload))
        .unwrap_or_else(|_| unknown())
}

async fn response(
    State(instances): Known,
    Path((id, request)): Path<(String, String)>,
    body: Request,
) -> axum::response::Response {
    answer(&instances, &id, &request, Reply::Response(read(body).await))
}

async fn error(
    State(instances): Known,
    Path((id, request)): Path<(String, String)>,
    body: Request,
) -> axum::response::Response {
    answer(&instances, &id, &request, Reply::Error(read(body).await))
}

async fn init_error(
    State(instances): Known,
    Path(id): Path<String>,
    body: Request,
) -> axum::response::Response {
    let Some(instance) = instances.get(&id) else {
        return unknown();
    };
    instance.set_init_error(read(body).await);
    accepted()
}

/// The body; one that is too long is cut one byte above the limit, so that its reader can see that.
async fn read(request: Request) -> Bytes {
    let limit = MAX_PAYLOAD_BYTES + 1;
    match axum::body::to_bytes(request.into_body(), limit).await {
        Ok(body) => body,
        Err(_) => Bytes::from(vec![b' '; limit]),
    }
}

fn answer(instances: &Instances, id: &str, request: &str, reply: Reply) -> axum::response::Response {
    match instances.get(id) {
        Some(instance) if instance.answer(request, reply) => accepted(),
        _ => unknown(),
    }
}

fn accepted() -> axum::response::Response {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

fn unknown() -> axum::response::Response {
    let body = json!({ "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID" });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
