//! `/docs`: the API's description in Swagger UI, which can try a call with a token from `/local/tokens`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::running::Running;

pub(super) fn router() -> Router<Arc<Running>> {
    // The token that was pasted once outlives the page.
    let page = Config::from("/openapi.json").persist_authorization(true);
    Router::new()
        .merge(SwaggerUi::new("/docs").config(page))
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
