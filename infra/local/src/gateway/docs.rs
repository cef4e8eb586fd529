//! `/docs`: the API's description in Swagger UI, which can try a call with a token from `/local/tokens`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde_json::Value;
use utoipa_swagger_ui::Config;

use crate::running::Running;

/// Swagger UI's own page has no room for a phone.
const PAGE: &str = include_str!("docs/index.html");
const STYLE: &str = include_str!("docs/page.css");

pub(super) fn router() -> Router<Arc<Running>> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .route("/docs", get(|| async { Redirect::temporary("/docs/") }))
        .route("/docs/", get(|| async { Html(PAGE) }))
        .route("/docs/{file}", get(file))
        .route("/openapi.yaml", get(yaml))
        .route("/openapi.json", get(json))
}

/// A file of Swagger UI, or of the page around it.
async fn file(Path(name): Path<String>) -> Response {
    if name == "page.css" {
        return ([(header::CONTENT_TYPE, "text/css")], STYLE).into_response();
    }
    // The token that was pasted once outlives the page.
    let config = Config::from("/openapi.json")
        .persist_authorization(true)
        .deep_linking(true)
        .display_request_duration(true)
        .try_it_out_enabled(true);
    match utoipa_swagger_ui::serve(&name, Arc::new(config)) {
        Ok(Some(file)) => ([(header::CONTENT_TYPE, file.content_type)], file.bytes.to_vec()).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
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
