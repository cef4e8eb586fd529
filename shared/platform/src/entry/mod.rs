//! The entry points for queues, streams, schedules and Kafka: what each function's `main` calls.
//!
//! They give the handler typed input and do the rest: logs, deadline, the failure or panic of an item confined to that
//! item, partial batch answers.

pub mod http;
mod item;
pub mod kafka;
pub mod queue;
pub mod schedule;
pub mod stream;

use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::{join, join_all};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Environment, FromEnvironment};
use crate::observability::telemetry;

/// Reads the configuration, then answers invocations until the instance ends.
pub(crate) fn serve<U, I, O, E, F>(answer: impl Fn(Arc<U>, LambdaEvent<I>) -> F) -> ExitCode
where
    U: FromEnvironment,
    I: DeserializeOwned,
    O: Serialize,
    E: Into<Diagnostic> + Debug,
    F: Future<Output = Result<O, E>>,
{
    telemetry::start();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime can't be started: {error}")),
    };
    runtime.block_on(async {
        let mut environment = Environment::of_process();
        let use_case = U::read(&mut environment);
        let ahead = environment.take_ahead();
        let use_case = match environment.finish(use_case) {
            Ok(use_case) => Arc::new(use_case),
            Err(error) => return failed(&error.to_string()),
        };
        let service = service_fn(|event| answer(use_case.clone(), event));
        // The event is asked for first: what is done ahead fills the time until it comes.
        let (ended, _) = join(lambda_runtime::run(service), join_all(ahead)).await;
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        }
    })
}

fn failed(reason: &str) -> ExitCode {
    tracing::error!(reason, "starting the function failed");
    ExitCode::FAILURE
}
