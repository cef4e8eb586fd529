//! What stands before rustack: it keeps foreign web pages out, and answers the operations that rustack lacks.

use std::{convert::Infallible, sync::Arc};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, service::Service as _};
use rustack_sqs_http::body::SqsResponseBody;
use serde_json::{Value, json};

use super::{
    Service,
    move_tasks::MoveTasks,
    protocol::{Operation, SqsError},
};
use crate::guard;

const MAX_BODY_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
pub(super) struct Front {
    pub(super) service: Service,
    pub(super) move_tasks: Arc<MoveTasks>,
}

impl Front {
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<SqsResponseBody>, Infallible> {
        if let Err(refusal) = guard::check(request.headers()) {
            let error = SqsError::new("AccessDenied", refusal.detail());
            return Ok(refused(refusal.status(), &error));
        }
        let Some(operation) = Operation::of(request.headers()) else {
            return self.service.call(request).await;
        };
        let Ok(body) = axum::body::to_bytes(Body::new(request.into_body()), MAX_BODY_BYTES).await else {
            let error = SqsError::new("InvalidParameterValue", "The body can't be read.");
            return Ok(refused(StatusCode::BAD_REQUEST, &error));
        };
        let answered = match serde_json::from_slice(&body) {
            Ok(input) => self.move_tasks.answer(operation, &input).await,
            Err(error) => Err(SqsError::new("InvalidParameterValue", error.to_string())),
        };
        Ok(match answered {
            Ok(output) => respond(StatusCode::OK, &output),
            Err(error) => refused(StatusCode::BAD_REQUEST, &error),
        })
    }
}

fn refused(status: StatusCode, error: &SqsError) -> Response<SqsResponseBody> {
    let body = json!({ "__type": format!("com.amazonaws.sqs#{}", error.code), "message": error.message });
    let mut response = respond(status, &body);
    if let Ok(code) = format!("{};Sender", error.code).parse() {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

fn respond(status: StatusCode, body: &Value) -> Response<SqsResponseBody> {
    let mut response = Response::new(SqsResponseBody::from_json(body.to_string().into_bytes()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    if let Ok(id) = uuid::Uuid::now_v7().to_string().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
