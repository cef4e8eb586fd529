//! The entry points for queues, streams, schedules and Kafka: what each function's `main` calls.
//!
//! They give the handler typed input and do the rest: logs, deadline, one item's failure or panic kept to that
//! item, partial batch answers.

mod item;
pub mod kafka;
pub mod queue;
pub mod schedule;
pub mod stream;

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Environment;
use crate::observability::telemetry;

/// Reads the configuration, then answers invocations until the instance ends.
pub(crate) fn serve<H, I, O, F>(
    configure: impl FnOnce(&mut Environment) -> Option<H>,
    answer: impl Fn(Arc<H>, LambdaEvent<I>) -> F,
) -> ExitCode
where
    H: Send + Sync + 'static,
    I: DeserializeOwned,
    O: Serialize,
    F: Future<Output = Result<O, lambda_runtime::Error>>,
{
    telemetry::start();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime can't be started: {error}")),
    };
    runtime.block_on(async {
        let mut environment = Environment::of_process();
        let handler = configure(&mut environment);
        let handler = match environment.finish(handler) {
            Ok(handler) => Arc::new(handler),
            Err(error) => return failed(&error.to_string()),
        };
        let service = service_fn(|event| answer(handler.clone(), event));
        match lambda_runtime::run(service).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        }
    })
}

fn failed(reason: &str) -> ExitCode {
    tracing::error!(reason, "the function can't run");
    ExitCode::FAILURE
}
