//! The local cloud's own routes under `/local`: tokens, the clock, runs by hand, queues, logs.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    clock::ClockView,
    running::Running,
    runtime::LogFilter,
    sources::{playing::ClockMoved, queues::QueueStatus},
    util::database_url::{DATABASE_URL, without_password},
};

type Cloud = State<Arc<Running>>;

/// An error, as a problem of RFC 9457.
struct Problem(StatusCode, anyhow::Error);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": format!("{error:#}"),
        });
        (
            status,
            [("content-type", "application/problem+json")],
            body.to_string(),
        )
            .into_response()
    }
}

type Reply<T> = Result<Json<T>, Problem>;

pub(super) fn router() -> Router<Arc<Running>> {
    Router::new()
        .route("/tokens", post(mint))
        .route("/jwks", get(super::discovery::keys))
        .route("/invoke/{function}", post(invoke))
        .route("/functions/{function}/environment", get(environment))
        .route("/schedules/{function}", post(run_schedule))
        .route("/clock", get(clock).post(move_clock))
        .route("/status", get(status))
        .route("/queues", get(queues))
        .route("/queues/{name}/messages", get(messages).delete(purge))
        .route("/queues/{name}/messages/{message_id}", delete(delete_message))
        .route("/queues/{name}/redrive", post(redrive))
        .route("/logs", get(logs))
        .route("/traces/{correlation_id}", get(trace))
}

async fn mint(State(cloud): Cloud, body: Bytes) -> Reply<Value> {
    let claims = parse(&body)?.unwrap_or_else(|| json!({}));
    let token = cloud
        .mint(claims)
        .map_err(|error| Problem(StatusCode::UNPROCESSABLE_ENTITY, error))?;
    Ok(Json(json!({ "token": token })))
}

async fn invoke(State(cloud): Cloud, Path(function): Path<String>, body: Bytes) -> Reply<Value> {
    known(&cloud, &function)?;
    let event = parse(&body)?.unwrap_or_else(|| json!({}));
    let result = cloud.runtime.invoke(&function, &event).await.map_err(internal)?;
    to_json(&result)
}

/// For a function that runs elsewhere, as in the container of `sam local`. Every user of this machine can ask for it, so
/// the database's password has to come from the state.
async fn environment(State(cloud): Cloud, Path(function): Path<String>) -> Reply<BTreeMap<String, String>> {
    let mut environment = cloud.runtime.environment(&function).map_err(not_found)?;
    if let Some(url) = environment.get_mut(DATABASE_URL) {
        *url = without_password(url);
    }
    Ok(Json(environment))
}

async fn run_schedule(State(cloud): Cloud, Path(function): Path<String>, body: Bytes) -> Reply<Value> {
    known(&cloud, &function)?;
    let input = parse(&body)?;
    if input.is_none() && cloud.schedules(&function).next().is_none() {
        let error = anyhow::anyhow!("{function} has no schedule; give an input, or use /local/invoke");
        return Err(Problem(StatusCode::NOT_FOUND, error));
    }
    let result = cloud.run_schedule(&function, input).await.map_err(internal)?;
    to_json(&result)
}

async fn clock(State(cloud): Cloud) -> Json<ClockView> {
    Json(cloud.clock.view())
}

async fn move_clock(State(cloud): Cloud, body: Bytes) -> Reply<ClockMoved> {
    let to = serde_json::from_slice(&body).map_err(|error| Problem(StatusCode::BAD_REQUEST, error.into()))?;
    // It goes on to its end, whoever hangs up meanwhile.
    let moving = tokio::spawn(async move { cloud.move_clock(&to).await });
    let moved = moving.await.map_err(|error| internal(error.into()))?;
    moved
        .map(Json)
        .map_err(|error| Problem(StatusCode::UNPROCESSABLE_ENTITY, error))
}

#[derive(Serialize)]
struct Status {
    url: String,
    addresses: BTreeMap<String, String>,
    functions: Vec<crate::runtime::FunctionStatus>,
    /// The queues and tables that call functions, and whether each is paused.
    event_sources: BTreeMap<String, bool>,
    queues: Vec<QueueStatus>,
}

async fn status(State(cloud): Cloud) -> Reply<Status> {
    let sources = cloud.sources();
    Ok(Json(Status {
        url: cloud.url.clone(),
        addresses: cloud.addresses.clone(),
        functions: cloud.runtime.status(),
        event_sources: sources.map(|sources| sources.status()).unwrap_or_default(),
        queues: cloud.queues.status().await.map_err(internal)?,
    }))
}

async fn queues(State(cloud): Cloud) -> Reply<Value> {
    let queues = cloud.queues.status().await.map_err(internal)?;
    Ok(Json(json!({ "items": queues })))
}

async fn messages(State(cloud): Cloud, Path(name): Path<String>) -> Reply<Value> {
    cloud.queues.url(&name).map_err(not_found)?;
    let messages = cloud.queues.peek(&name).await.map_err(internal)?;
    Ok(Json(json!({ "items": messages })))
}

async fn purge(State(cloud): Cloud, Path(name): Path<String>) -> Reply<Value> {
    cloud.queues.url(&name).map_err(not_found)?;
    let deleted = cloud.queues.purge(&name).await.map_err(internal)?;
    Ok(Json(json!({ "deleted": deleted })))
}

async fn delete_message(
    State(cloud): Cloud,
    Path((name, message_id)): Path<(String, String)>,
) -> Reply<Value> {
    cloud.queues.url(&name).map_err(not_found)?;
    match cloud.queues.delete(&name, &message_id).await.map_err(internal)? {
        true => Ok(Json(json!({ "deleted": 1 }))),
        false => Err(not_found(anyhow::anyhow!(
            "no message {message_id} waits in {name}; one that is being worked on can't be deleted"
        ))),
    }
}

async fn redrive(State(cloud): Cloud, Path(name): Path<String>) -> Reply<Value> {
    cloud.queues.url(&name).map_err(not_found)?;
    let moved = cloud.queues.redrive(&name).await;
    let moved = moved.map_err(|error| Problem(StatusCode::UNPROCESSABLE_ENTITY, error))?;
    Ok(Json(json!({ "moved": moved })))
}

async fn logs(State(cloud): Cloud, Query(filter): Query<LogFilter>) -> Reply<Value> {
    if let Some(function) = &filter.function {
        known(&cloud, function)?;
    }
    Ok(Json(json!({ "items": cloud.logs.find(&filter) })))
}

async fn trace(State(cloud): Cloud, Path(correlation_id): Path<String>) -> Json<Value> {
    Json(json!({ "items": cloud.logs.trace(&correlation_id) }))
}

fn parse(body: &Bytes) -> Result<Option<Value>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    let parsed = serde_json::from_slice(body);
    parsed
        .map(Some)
        .map_err(|error| Problem(StatusCode::BAD_REQUEST, error.into()))
}

fn known(cloud: &Running, function: &str) -> Result<(), Problem> {
    match cloud.template.function(function) {
        Some(_) => Ok(()),
        None => Err(not_found(anyhow::anyhow!("no function is named {function}"))),
    }
}

fn to_json(value: &impl Serialize) -> Reply<Value> {
    serde_json::to_value(value)
        .map(Json)
        .map_err(|error| internal(error.into()))
}

fn internal(error: anyhow::Error) -> Problem {
    Problem(StatusCode::INTERNAL_SERVER_ERROR, error)
}

fn not_found(error: anyhow::Error) -> Problem {
    Problem(StatusCode::NOT_FOUND, error)
}
