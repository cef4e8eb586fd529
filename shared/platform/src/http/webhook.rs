//! Routes that an outside party calls: without a token, with a signature over the very bytes of the body.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use http::HeaderMap;
use lambda_runtime::LambdaEvent;

use super::{About, Reply, decode, openapi, respond};
use crate::config::FromEnvironment;
use crate::deadline::Deadline;
use crate::http::Problem;

/// A function behind a webhook's route.
pub trait Webhook: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// Largest body that is read.
    const BODY_LIMIT_BYTES: usize = 256 * 1024;

    /// What the API's description says of this operation.
    fn about() -> About;

    /// Handles one delivery, which is acknowledged unless this fails. It may come twice, late, out of order, and from
    /// anybody: the signature is checked before anything else.
    fn handle(use_case: &Self::UseCase, delivery: Delivery) -> impl Future<Output = Result<(), Problem>>;
}

/// What was delivered.
#[derive(Debug)]
pub struct Delivery {
    /// The body as it was sent, to the byte.
    pub body: Vec<u8>,
    /// When it has to be acknowledged.
    pub deadline: Deadline,
    headers: HeaderMap,
}

impl Delivery {
    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Runs the function. With the argument `--openapi` it prints its part of the API's description instead.
pub fn serve<W: Webhook>() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--openapi") {
        return openapi::print_webhook(&W::about(), W::BODY_LIMIT_BYTES);
    }
    crate::entry::serve(answer::<W>)
}

async fn answer<W: Webhook>(
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
