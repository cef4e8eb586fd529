//! One function: its processes, and the way of an invocation through one of them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, TryAcquireError};
use uuid::Uuid;

use super::logs::Logs;
use super::{
    FunctionStatus, InvocationResult, MAX_PAYLOAD_BYTES, Settings, Throttled, WhenBusy,
    api::Instances,
    instance::{Instance, Invocation, Reply},
};
use crate::{template, util::lock};

/// Lambda gives a process 10 s; a debug build on a busy laptop gets more.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an invocation moves on from an idle process that turns out to be dead.
const DEAD_INSTANCES: usize = 8;

pub(super) struct Function {
    name: String,
    binary: PathBuf,
    arn: String,
    timeout: Duration,
    memory_mb: u64,
    region: String,
    runtime_api: SocketAddr,
    instances: Arc<Instances>,
    logs: Arc<Logs>,
    slots: Semaphore,
    /// Whether the slots are the function's reserved concurrency, and not just what a laptop bears.
    reserved: bool,
    environment: Mutex<BTreeMap<String, String>>,
    generation: AtomicU64,
    idle: Mutex<Vec<Arc<Instance>>>,
    running: AtomicUsize,
    invocations: AtomicU64,
    errors: AtomicU64,
    closed: AtomicBool,
}

/// How an invocation ended.
enum Outcome {
    Answered(Value),
    Failed {
        kind: &'static str,
        message: String,
        payload: Option<Value>,
    },
    /// The process died before it saw the invocation, so that another one can have it.
    NeverTaken,
}

impl Function {
    pub(super) fn new(
        definition: &template::Function,
        settings: &Settings,
        environment: BTreeMap<String, String>,
        runtime_api: SocketAddr,
        instances: &Arc<Instances>,
        logs: Arc<Logs>,
    ) -> Self {
        let reserved = definition
            .reserved_concurrency
            .filter(|reserved| *reserved <= settings.max_instances);
        let limit = reserved.unwrap_or(settings.max_instances).max(1);
        Self {
            name: definition.binary.clone(),
            binary: settings.binaries.join(&definition.binary),
            arn: format!(
                "arn:aws:lambda:{}:{}:function:{}",
                settings.region, settings.account, definition.binary
            ),
            timeout: definition.timeout,
            memory_mb: definition.memory_mb,
            region: settings.region.clone(),
            runtime_api,
            instances: Arc::clone(instances),
            logs,
            slots: Semaphore::new(limit),
            reserved: reserved.is_some(),
            environment: Mutex::new(environment),
            generation: AtomicU64::new(0),
            idle: Mutex::new(Vec::new()),
            running: AtomicUsize::new(0),
            invocations: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) async fn invoke(
        &self,
        payload: Bytes,
        when_busy: WhenBusy,
    ) -> anyhow::Result<InvocationResult> {
        let _slot = match (when_busy, self.slots.try_acquire()) {
            (_, Ok(slot)) => slot,
            (WhenBusy::Refuse, Err(TryAcquireError::NoPermits)) if self.reserved => {
                return Err(Throttled(self.name.clone()).into());
            }
            _ => self
                .slots
                .acquire()
                .await
                .context("the local cloud is stopping")?,
        };
        self.running.fetch_add(1, Ordering::Relaxed);
        let result = self.run(payload).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.invocations.fetch_add(1, Ordering::Relaxed);
        if result
            .as_ref()
            .map_or(true, |result| result.function_error.is_some())
        {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    async fn run(&self, payload: Bytes) -> anyhow::Result<InvocationResult> {
        let request_id = Uuid::now_v7().to_string();
        for _ in 0..DEAD_INSTANCES {
            let begun = Instant::now();
            let (instance, cold) = match self.take_idle() {
                Some(instance) => (instance, false),
                None => (self.start_instance()?, true),
            };
            let outcome = match cold {
                true => self.wait_for_start(&instance).await,
                false => Ok(()),
            };
            let outcome = match outcome {
                Ok(()) => self.serve(&instance, &request_id, payload.clone()).await,
                Err(failure) => failure,
            };
            let memory_kib = instance.memory_kib();
            self.put_back(instance);
            if matches!(outcome, Outcome::NeverTaken) {
                continue;
            }
            if self.closed.load(Ordering::SeqCst) && matches!(outcome, Outcome::Failed { .. }) {
                // It was killed by the stop, which is no failure of the function's.
                bail!("the local cloud is stopping");
            }
            return Ok(self.report(request_id, outcome, cold, begun.elapsed(), memory_kib));
        }
        bail!("{}: its processes die before they take an invocation", self.name)
    }

    fn take_idle(&self) -> Option<Arc<Instance>> {
        let mut idle = lock(&self.idle);
        while let Some(instance) = idle.pop() {
            if !instance.has_exited() && instance.generation == self.generation.load(Ordering::SeqCst) {
                return Some(instance);
            }
            instance.kill();
            self.instances.remove(&instance.id);
        }
        None
    }

    fn put_back(&self, instance: Arc<Instance>) {
        let current = instance.generation == self.generation.load(Ordering::SeqCst);
        if instance.has_exited() || !current || self.closed.load(Ordering::SeqCst) {
            instance.kill();
            self.instances.remove(&instance.id);
        } else {
            instance.rest();
            lock(&self.idle).push(instance);
        }
    }

    fn start_instance(&self) -> anyhow::Result<Arc<Instance>> {
        if self.closed.load(Ordering::SeqCst) {
            bail!("the local cloud is stopping");
        }
        let generation = self.generation.load(Ordering::SeqCst);
        let id = Uuid::now_v7().simple().to_string();
        // The process may ask for its invocation before it is known by its id; the API waits for that.
        let instance = self.instances.insert_with(&id, &self.name, || {
            Instance::start(
                id.clone(),
                generation,
                &self.name,
                &self.binary,
                &self.process_environment(&id),
                &self.logs,
            )
        })?;
        Ok(instance)
    }

    /// The variables that Lambda sets, and over them the function's own.
    fn process_environment(&self, instance: &str) -> BTreeMap<String, String> {
        let standard = [
            (
                "AWS_LAMBDA_RUNTIME_API",
                format!("http://{}/{instance}", self.runtime_api),
            ),
            ("AWS_LAMBDA_FUNCTION_NAME", self.name.clone()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory_mb.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", self.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", instance.to_owned()),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            ("AWS_ACCESS_KEY_ID", crate::backends::ACCESS_KEY_ID.to_owned()),
            (
                "AWS_SECRET_ACCESS_KEY",
                crate::backends::SECRET_ACCESS_KEY.to_owned(),
            ),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
            ("_HANDLER", "bootstrap".to_owned()),
            ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("TZ", ":UTC".to_owned()),
        ];
        let mut environment: BTreeMap<String, String> = standard
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        environment.extend(lock(&self.environment).clone());
        environment
    }

    async fn wait_for_start(&self, instance: &Instance) -> Result<(), Outcome> {
        let exit = match tokio::time::timeout(INIT_TIMEOUT, instance.started()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(exit)) => exit,
            Err(_) => {
                instance.kill();
                format!(
                    "it asked for no invocation within {} s; {}",
                    INIT_TIMEOUT.as_secs(),
                    instance.exited().await
                )
            }
        };
        let payload = instance
            .init_error()
            .and_then(|body| serde_json::from_slice(&body).ok());
        let message = format!("the process ended while it started: {exit}");
        Err(Outcome::Failed {
            kind: "Runtime.ExitError",
            message,
            payload,
        })
    }

    async fn serve(&self, instance: &Instance, request_id: &str, payload: Bytes) -> Outcome {
        let timeout = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let reply = instance.hand_over(Invocation {
            request_id: request_id.to_owned(),
            payload,
            arn: self.arn.clone(),
            deadline_ms: chrono::Utc::now().timestamp_millis().saturating_add(timeout),
            trace_id: trace_id(),
        });
        tokio::select! {
            // An answer that came just before the end counts.
            biased;
            Ok(reply) = reply => read_reply(reply),
            exit = instance.exited() => match instance.has_taken() {
                true => failed("Runtime.ExitError", format!("RequestId: {request_id} Error: the process ended: {exit}")),
                false => Outcome::NeverTaken,
            },
            () = tokio::time::sleep(self.timeout) => {
                instance.kill();
                instance.exited().await;
                let seconds = self.timeout.as_secs();
                failed("Sandbox.Timedout", format!("RequestId: {request_id} Error: Task timed out after {seconds}.00 seconds"))
            }
        }
    }

    fn report(
        &self,
        request_id: String,
        outcome: Outcome,
        cold: bool,
        duration: Duration,
        memory_kib: Option<u64>,
    ) -> InvocationResult {
        let (payload, function_error) = match outcome {
            Outcome::Answered(payload) => (payload, None),
            Outcome::Failed {
                kind,
                message,
                payload,
            } => {
                let payload =
                    payload.unwrap_or_else(|| json!({ "errorType": kind, "errorMessage": message }));
                (payload, Some(message))
            }
            Outcome::NeverTaken => (Value::Null, Some("no process took the invocation".to_owned())),
        };
        let line = json!({
            "type": "platform.report",
            "time": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "function": self.name,
            "request_id": request_id,
            "start": if cold { "cold" } else { "warm" },
            "duration_ms": u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            "outcome": if function_error.is_some() { "error" } else { "success" },
            "error": function_error,
            "memory_kib": memory_kib,
        });
        self.logs.write(&self.name, &line.to_string());
        InvocationResult {
            request_id,
            payload,
            function_error,
            cold,
            duration,
            memory_kib,
        }
    }

    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        lock(&self.environment).clone()
    }

    pub(super) fn set_environment(&self, name: &str, value: &str) {
        lock(&self.environment).insert(name.to_owned(), value.to_owned());
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.stop_idle(Duration::ZERO);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Stops the processes that had nothing to do for this long.
    pub(super) fn stop_idle(&self, limit: Duration) {
        lock(&self.idle).retain(|instance| {
            let stays = instance.idle_for() < limit && !instance.has_exited();
            if !stays {
                instance.kill();
                self.instances.remove(&instance.id);
            }
            stays
        });
    }

    /// Kills all processes, waits for their end and says how many there were.
    pub(super) async fn kill_all(&self) -> usize {
        lock(&self.idle).clear();
        let instances = self.instances.of(&self.name);
        let alive: Vec<_> = instances
            .into_iter()
            .filter(|instance| !instance.has_exited())
            .collect();
        for instance in &alive {
            instance.kill();
        }
        for instance in &alive {
            instance.exited().await;
            self.instances.remove(&instance.id);
        }
        alive.len()
    }

    /// Takes no more invocations.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.slots.close();
    }

    pub(super) fn status(&self) -> FunctionStatus {
        FunctionStatus {
            name: self.name.clone(),
            idle: lock(&self.idle).len(),
            running: self.running.load(Ordering::Relaxed),
            invocations: self.invocations.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            timeout_seconds: self.timeout.as_secs(),
        }
    }
}

fn failed(kind: &'static str, message: String) -> Outcome {
    Outcome::Failed {
        kind,
        message,
        payload: None,
    }
}

fn read_reply(reply: Reply) -> Outcome {
    match reply {
        Reply::Response(body) if body.len() > MAX_PAYLOAD_BYTES => failed(
            "Function.ResponseSizeTooLarge",
            format!("the answer has more than {MAX_PAYLOAD_BYTES} bytes"),
        ),
        Reply::Response(body) if body.is_empty() => Outcome::Answered(Value::Null),
        Reply::Response(body) => match serde_json::from_slice(&body) {
            Ok(payload) => Outcome::Answered(payload),
            Err(error) => failed(
                "Runtime.InvalidResponse",
                format!("the answer isn't JSON: {error}"),
            ),
        },
        Reply::Error(body) => {
            let payload: Option<Value> = serde_json::from_slice(&body).ok();
            let part = |name: &str| {
                payload
                    .as_ref()
                    .and_then(|payload| payload.get(name))
                    .and_then(Value::as_str)
                    .unwrap_or("unknown")
            };
            let message = format!("{}: {}", part("errorType"), part("errorMessage"));
            Outcome::Failed {
                kind: "Unhandled",
                message,
                payload,
            }
        }
    }
}

fn trace_id() -> String {
    let root = Uuid::now_v7().simple().to_string();
    let (time, rest) = root.split_at_checked(8).unwrap_or(("00000000", &root));
    let seconds = chrono::Utc::now().timestamp();
    let (parent, _) = rest.split_at_checked(16).unwrap_or((rest, ""));
    format!("Root=1-{seconds:08x}-{rest};Parent={parent};Sampled=0;Lineage={time}")
}
