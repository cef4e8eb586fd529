//! `/docs`: the API's description as a page that can try a call.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::Value;

use crate::running::Running;

const PAGE: &str = include_str!("docs.html");

pub(super) fn router() -> Router<Arc<Running>> {
    Router::new()
        .route("/docs", get(async || Html(PAGE)))
        .route("/openapi.yaml", get(yaml))
        .route("/openapi.json", get(json))
}

async fn read(cloud: &Running) -> Result<String, Response> {
    let path = cloud.options.openapi();
    tokio::fs::read_to_string(&path).await.map_err(|error| {
        let text = format!(
            "{} can't be read ({error}); `moneta openapi` writes it\n",
            path.display()
        );
        (StatusCode::NOT_FOUND, text).into_response()
    })
}

async fn yaml(State(cloud): State<Arc<Running>>) -> Response {
    match read(&cloud).await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
        Err(response) => response,
    }
}

async fn json(State(cloud): State<Arc<Running>>) -> Response {
    let text = match read(&cloud).await {
        Ok(text) => text,
        Err(response) => return response,
    };
    match serde_yaml_ng::from_str::<Value>(&text) {
        Ok(document) => Json(document).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("it isn't YAML: {error}\n"),
        )
            .into_response(),
    }
}
