//! The Lambda service: runs the functions' binaries as processes and gives them their invocations over the Lambda
//! Runtime API.
//!
//! A process starts with the first call that finds none idle, serves one invocation at a time and stays for the next.
//! Calls above the laptop's limit wait for a process; above a function's reserved concurrency they are throttled as on AWS,
//! unless the caller would try again by itself there. A process that runs past the function's time limit is killed; one
//! that ends by itself fails its invocation at once; either way the next call starts a new one.

mod api;
pub(crate) mod entry;
mod function;
mod instance;
mod logs;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::entry::{Level, LogLine};
pub(crate) use self::logs::{LogFilter, Logs};
use self::{api::Instances, function::Function};
use crate::template;

/// The most bytes of an event or of an answer.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// After how long without a call a process is stopped.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// The result of one invocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvocationResult {
    /// Its id.
    pub request_id: String,
    /// The answer; for a function error `{"errorType": …, "errorMessage": …}`.
    pub payload: Value,
    /// Why the function failed, timed out or died; none when it succeeded.
    pub function_error: Option<String>,
    /// Whether a process was started for it.
    pub cold: bool,
    /// How long it took, without the wait for a free process, with the start of a new one.
    pub duration: Duration,
    /// The most memory that the process has used so far, in KiB.
    pub memory_kib: Option<u64>,
}

/// How a call is treated when the function's reserved concurrency is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenBusy {
    /// It waits: on AWS, asynchronous calls and streams are tried again without counting.
    Wait,
    /// It is throttled: API Gateway answers 503, a queue's messages come back and have been received once more.
    Refuse,
}

/// A call was refused because the function's reserved concurrency is used up.
#[derive(Debug, thiserror::Error)]
#[error("{0} is throttled: its reserved concurrency is used up")]
pub(crate) struct Throttled(pub(crate) String);

/// The runtime's settings.
pub(crate) struct Settings {
    pub(crate) binaries: PathBuf,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) max_instances: usize,
    /// The variables of each function, by binary.
    pub(crate) environment: BTreeMap<String, BTreeMap<String, String>>,
}

/// How busy a function is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FunctionStatus {
    pub(crate) name: String,
    pub(crate) idle: usize,
    pub(crate) running: usize,
    pub(crate) invocations: u64,
    pub(crate) errors: u64,
    pub(crate) timeout_seconds: u64,
}

/// The running Lambda service.
pub(crate) struct Runtime {
    functions: BTreeMap<String, Arc<Function>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Runtime {
    pub(crate) fn start(
        functions: &[template::Function],
        mut settings: Settings,
        logs: Arc<Logs>,
        listener: TcpListener,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let instances = Arc::new(Instances::default());
        let functions: BTreeMap<_, _> = functions
            .iter()
            .map(|definition| {
                let environment = settings
                    .environment
                    .remove(&definition.binary)
                    .unwrap_or_default();
                let function = Function::new(
                    definition,
                    &settings,
                    environment,
                    address,
                    &instances,
                    Arc::clone(&logs),
                );
                (definition.binary.clone(), Arc::new(function))
            })
            .collect();
        let router = api::router(instances).layer(axum::middleware::from_fn(crate::guard::layer));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "serving the Lambda Runtime API failed");
            }
        });
        let reaper = tokio::spawn(reap(functions.values().map(Arc::clone).collect()));
        Ok(Self {
            functions,
            tasks: vec![server, reaper],
        })
    }

    /// Invokes a function and waits for its answer. The invocation goes on when the caller loses interest.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> anyhow::Result<InvocationResult> {
        self.invoke_when(function, event, WhenBusy::Wait).await
    }

    /// As [`Self::invoke`]; says what happens when the reserved concurrency is used up.
    ///
    /// # Errors
    /// [`Throttled`] among others.
    pub(crate) async fn invoke_when(
        &self,
        function: &str,
        event: &Value,
        when_busy: WhenBusy,
    ) -> anyhow::Result<InvocationResult> {
        let function = Arc::clone(self.function(function)?);
        let payload = Bytes::from(serde_json::to_vec(event)?);
        tokio::spawn(async move { function.invoke(payload, when_busy).await })
            .await
            .context("the invocation was interrupted")?
    }

    /// Kills all processes of a function and says how many there were.
    pub(crate) async fn kill(&self, function: &str) -> anyhow::Result<usize> {
        Ok(self.function(function)?.kill_all().await)
    }

    /// A function's own variables, without those that Lambda gives every function.
    pub(crate) fn environment(&self, function: &str) -> anyhow::Result<BTreeMap<String, String>> {
        Ok(self.function(function)?.environment())
    }

    /// Sets a variable for the processes that start from now on.
    pub(crate) fn set_environment(&self, function: &str, name: &str, value: &str) -> anyhow::Result<()> {
        self.function(function)?.set_environment(name, value);
        Ok(())
    }

    /// Sets a variable for the processes of all functions that start from now on.
    pub(crate) fn set_environment_of_all(&self, name: &str, value: &str) {
        for function in self.functions.values() {
            function.set_environment(name, value);
        }
    }

    /// The functions that work on something, by name.
    pub(crate) fn at_work(&self) -> Vec<String> {
        let busy = self.functions.iter().filter(|(_, function)| function.is_busy());
        busy.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn status(&self) -> Vec<FunctionStatus> {
        self.functions
            .values()
            .map(|function| function.status())
            .collect()
    }

    /// Kills all processes and ends.
    pub(crate) async fn stop(&self) {
        for function in self.functions.values() {
            function.close();
        }
        for function in self.functions.values() {
            function.kill_all().await;
        }
        for task in &self.tasks {
            task.abort();
        }
    }

    fn function(&self, name: &str) -> anyhow::Result<&Arc<Function>> {
        self.functions
            .get(name)
            .ok_or_else(|| anyhow!("no function is named {name}"))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn reap(functions: Vec<Arc<Function>>) {
    loop {
        tokio::time::sleep(IDLE_CHECK).await;
        for function in &functions {
            function.stop_idle(IDLE_TIMEOUT);
        }
    }
}
