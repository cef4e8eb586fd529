//! How a verifier of tokens finds the issuer's keys: OpenID Connect Discovery 1.0.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use serde_json::Value;

use crate::running::Running;

pub(super) fn router() -> Router<Arc<Running>> {
    Router::new()
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/.well-known/jwks.json", get(keys))
}

async fn configuration(State(cloud): State<Arc<Running>>) -> Json<Value> {
    Json(cloud.issuer.discovery())
}

pub(super) async fn keys(State(cloud): State<Arc<Running>>) -> Json<Value> {
    Json(cloud.issuer.jwks().clone())
}
