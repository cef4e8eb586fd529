//! Routes of the HTTP API (API Gateway, HTTP API v2): operations of ours, and webhooks that an outside party calls.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use futures::FutureExt;
use lambda_runtime::LambdaEvent;
use tracing::Instrument;

use crate::config::{Environment, FromEnvironment};
use crate::deadline::Deadline;
use crate::http::{Call, Delivery, HttpOperation, Method, Problem, Reply, Webhook, decode, openapi, reply};
use crate::observability::{correlation, metrics, telemetry};
use crate::security::identity::{ClaimNames, Identity};

/// Runs the function. With the argument `--openapi` it prints its part of the API's description instead.
pub fn serve<O: HttpOperation>() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--openapi") {
        return openapi::print::<O>();
    }
    super::serve(answer::<O>)
}

/// What does the work, and what the claims are called that say for whom.
struct Served<U> {
    use_case: U,
    claims: ClaimNames,
}

impl<U: FromEnvironment> FromEnvironment for Served<U> {
    fn read(environment: &mut Environment) -> Option<Self> {
        let use_case = U::read(environment);
        let claims = ClaimNames::read(environment);
        Some(Self {
            use_case: use_case?,
            claims: claims?,
        })
    }
}

async fn answer<O: HttpOperation>(
    served: Arc<Served<O::UseCase>>,
    event: LambdaEvent<ApiGatewayV2httpRequest>,
) -> Result<ApiGatewayV2httpResponse, lambda_runtime::Error> {
    let work = async |request: ApiGatewayV2httpRequest, deadline| {
        let identity = identity(&served.claims, &request);
        let reply = handle::<O>(&served.use_case, identity, request, deadline).await?;
        Ok(reply.into_response())
    };
    respond(event, O::about().needs_idempotency_key, work).await
}

/// Does a request's work within its correlation id, span and deadline, and counts what fails.
async fn respond(
    event: LambdaEvent<ApiGatewayV2httpRequest>,
    is_keyed: bool,
    work: impl AsyncFnOnce(ApiGatewayV2httpRequest, Deadline) -> Result<ApiGatewayV2httpResponse, Problem>,
) -> Result<ApiGatewayV2httpResponse, lambda_runtime::Error> {
    let (request, context) = event.into_parts();
    let sent = request
        .headers
        .get(correlation::HEADER)
        .and_then(|value| value.to_str().ok());
    let id = sent.map_or_else(correlation::new, correlation::accept);
    let span = telemetry::invocation_span(&context.request_id, id.as_ref());
    let deadline = Deadline::of(&context);
    let guarded = guarded(work(request, deadline), is_keyed, deadline);
    let mut response = correlation::within(id.clone(), guarded).instrument(span).await;
    if let Ok(value) = http::HeaderValue::from_str(id.as_ref()) {
        response.headers.insert(correlation::HEADER, value);
    }
    for failure in failures(response.status_code) {
        metrics::count(failure, 1);
    }
    Ok(response)
}

/// What is counted of an answer. To Lambda every answer is a success, so its own count of errors stays at zero.
fn failures(status: i64) -> &'static [&'static str] {
    match status {
        500 => &["ServerErrors", "InternalErrors"],
        501.. => &["ServerErrors"],
        _ => &[],
    }
}

async fn guarded(
    work: impl Future<Output = Result<ApiGatewayV2httpResponse, Problem>>,
    is_keyed: bool,
    deadline: Deadline,
) -> ApiGatewayV2httpResponse {
    let work = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout_at(deadline.instant(), work).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(problem))) => {
            tracing::info!(
                status = problem.status,
                code = problem.code,
                "refused the request"
            );
            reply::problem(&problem)
        }
        Ok(Err(_)) => {
            tracing::error!("handling the request panicked");
            reply::problem(&Problem::internal())
        }
        Err(_) => {
            tracing::error!("handling the request ran into its deadline");
            reply::problem(&Problem::timed_out(is_keyed))
        }
    }
}

async fn handle<O: HttpOperation>(
    use_case: &O::UseCase,
    identity: Identity,
    request: ApiGatewayV2httpRequest,
    deadline: Deadline,
) -> Result<Reply<O::Output>, Problem> {
    let input = match O::about().method {
        Method::Get | Method::Delete => {
            decode::query(request.raw_query_string.as_deref().unwrap_or_default())?
        }
        Method::Post | Method::Put | Method::Patch => decode::body(&request, O::BODY_LIMIT_BYTES)?,
    };
    let header = |name| {
        let value: Option<&http::HeaderValue> = request.headers.get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let (idempotency_key, accept) = (header("idempotency-key"), header("accept"));
    let call = Call {
        identity,
        input,
        deadline,
        path: request.path_parameters,
        idempotency_key,
        accept,
    };
    O::handle(use_case, call).await
}

fn identity(names: &ClaimNames, request: &ApiGatewayV2httpRequest) -> Identity {
    let authorizer = request.request_context.authorizer.as_ref();
    let claims = authorizer
        .and_then(|authorizer| authorizer.jwt.as_ref())
        .map(|jwt| &jwt.claims);
    claims
        .map(|claims| Identity::from_claims(names, claims))
        .unwrap_or_default()
}

/// Runs the function. With the argument `--openapi` it prints its part of the API's description instead.
pub fn serve_webhook<W: Webhook>() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--openapi") {
        return openapi::print_webhook(&W::about(), W::BODY_LIMIT_BYTES);
    }
    super::serve(answer_webhook::<W>)
}

async fn answer_webhook<W: Webhook>(
    use_case: Arc<W::UseCase>,
    event: LambdaEvent<ApiGatewayV2httpRequest>,
) -> Result<ApiGatewayV2httpResponse, lambda_runtime::Error> {
    let work = async |request: ApiGatewayV2httpRequest, deadline| {
        let delivery = Delivery {
            body: decode::bytes(&request, W::BODY_LIMIT_BYTES)?,
            deadline,
            headers: request.headers,
        };
        W::handle(&use_case, delivery).await?;
        Ok(Reply::ok(&serde_json::json!({"received": true}))?.into_response())
    };
    respond(event, false, work).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_lambda_events::encodings::Body;
    use lambda_runtime::Context;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::About;

    /// Replies with the length of its body's longest value.
    struct Measure;

    impl HttpOperation for Measure {
        type UseCase = ();
        type Input = HashMap<String, String>;
        type Output = usize;

        const BODY_LIMIT_BYTES: usize = 200_000;

        fn about() -> About {
            About::new(Method::Put, "Measure", "Measures.").path_id("client_id", "The client.")
        }

        async fn handle((): &(), call: Call<Self::Input>) -> Result<Reply<usize>, Problem> {
            call.path::<u32>("client_id")?;
            Reply::ok(&call.input.values().map(String::len).max().unwrap_or_default())
        }
    }

    async fn measured(client: &str, length: usize) -> (i64, Value) {
        let request = json!({
            "version": "2.0", "headers": {}, "body": json!({"text": "x".repeat(length)}).to_string(),
            "pathParameters": {"client_id": client},
            "isBase64Encoded": false, "requestContext": {"http": {"method": "PUT"}},
        });
        let mut context = Context::default();
        let in_a_minute = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        let since = in_a_minute.duration_since(std::time::UNIX_EPOCH).unwrap();
        context.deadline = u64::try_from(since.as_millis()).unwrap();
        let event = LambdaEvent::new(serde_json::from_value(request).unwrap(), context);
        let served = Served {
            use_case: (),
            claims: ClaimNames::default(),
        };
        let response = answer::<Measure>(Arc::new(served), event).await.unwrap();
        let Some(Body::Text(text)) = response.body else {
            panic!("no text: {:?}", response.body);
        };
        (response.status_code, serde_json::from_str(&text).unwrap())
    }

    #[tokio::test]
    async fn an_operation_sets_the_limit_of_its_bodies() {
        assert_eq!(measured("1", 150_000).await, (200, json!(150_000)));
        let (status, problem) = measured("1", 200_000).await;
        assert_eq!((status, &problem["code"]), (413, &json!("body-too-large")));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with("at most 200000 are read."), "{detail}");
    }

    #[tokio::test]
    async fn a_path_with_a_malformed_id_is_not_found() {
        let (status, problem) = measured("one", 1).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not-found")));
    }

    #[test]
    fn a_fault_of_ours_is_counted_and_a_refusal_is_not() {
        assert_eq!(failures(500), ["ServerErrors", "InternalErrors"]);
        assert_eq!(failures(503), ["ServerErrors"]);
        assert!(failures(201).is_empty() && failures(422).is_empty());
    }
}
