//! One process of a function.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::body::Bytes;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
};

use super::logs::Logs;
use crate::util::lock;

/// How long the last lines of a dead process are waited for; a child of its own may hold the pipe open.
const LAST_LINES: Duration = Duration::from_millis(200);

/// One invocation on its way to the process.
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    pub(super) arn: String,
    pub(super) deadline_ms: i64,
    pub(super) trace_id: String,
}

/// The process's response to an invocation.
pub(super) enum Reply {
    Response(Bytes),
    Error(Bytes),
}

/// The invocation that the process works on.
struct Running {
    request_id: String,
    reply: oneshot::Sender<Reply>,
    taken: bool,
}

/// A process, seen from the Runtime API and from the function it belongs to.
pub(super) struct Instance {
    pub(super) id: String,
    /// Counts the changes of the function's environment; an instance of an older one isn't used again.
    pub(super) generation: u64,
    pid: Option<u32>,
    sender: mpsc::Sender<Invocation>,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    running: Mutex<Option<Running>>,
    idle_since: Mutex<Instant>,
    init_error: Mutex<Option<Bytes>>,
    ready: watch::Sender<bool>,
    exit: watch::Sender<Option<String>>,
    kill: Notify,
}

impl Instance {
    /// Starts a process with exactly these variables.
    pub(super) fn start(
        id: String,
        generation: u64,
        function: &str,
        binary: &Path,
        environment: &BTreeMap<String, String>,
        logs: &Arc<Logs>,
    ) -> anyhow::Result<Arc<Self>> {
        let child = Command::new(binary)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C is for the local cloud, which then ends the processes in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("the binary {} can't be started; is it built?", binary.display()))?;
        let (sender, receiver) = mpsc::channel(1);
        let instance = Arc::new(Self {
            id,
            generation,
            pid: child.id(),
            sender,
            receiver: tokio::sync::Mutex::new(receiver),
            running: Mutex::new(None),
            idle_since: Mutex::new(Instant::now()),
            init_error: Mutex::new(None),
            ready: watch::Sender::new(false),
            exit: watch::Sender::new(None),
            kill: Notify::new(),
        });
        tokio::spawn(supervise(
            Arc::clone(&instance),
            child,
            function.to_owned(),
            Arc::clone(logs),
        ));
        Ok(instance)
    }

    /// Gives the process an invocation; the receiver gets its answer.
    pub(super) fn hand_over(&self, invocation: Invocation) -> oneshot::Receiver<Reply> {
        let (reply, receiver) = oneshot::channel();
        let request_id = invocation.request_id.clone();
        *lock(&self.running) = Some(Running {
            request_id,
            reply,
            taken: false,
        });
        // There is room for one, and a process has one invocation at a time.
        if self.sender.try_send(invocation).is_err() {
            lock(&self.running).take();
        }
        receiver
    }

    /// The process asks for its next invocation.
    pub(super) async fn next(&self) -> Option<Invocation> {
        self.ready.send_replace(true);
        let invocation = self.receiver.lock().await.recv().await?;
        if let Some(running) = lock(&self.running).as_mut() {
            running.taken = true;
        }
        Some(invocation)
    }

    /// The process answers; false when it doesn't work on this invocation.
    pub(super) fn answer(&self, request_id: &str, reply: Reply) -> bool {
        let mut running = lock(&self.running);
        match running.take() {
            Some(current) if current.request_id == request_id => current.reply.send(reply).is_ok(),
            other => {
                *running = other;
                false
            }
        }
    }

    /// Whether the process has seen the invocation that it was given last.
    pub(super) fn has_taken(&self) -> bool {
        lock(&self.running).as_ref().is_none_or(|running| running.taken)
    }

    pub(super) fn set_init_error(&self, body: Bytes) {
        *lock(&self.init_error) = Some(body);
    }

    pub(super) fn init_error(&self) -> Option<Bytes> {
        lock(&self.init_error).clone()
    }

    /// Waits until the process asked for its first invocation, or ended.
    pub(super) async fn started(&self) -> Result<(), String> {
        let mut ready = self.ready.subscribe();
        tokio::select! {
            _ = ready.wait_for(|ready| *ready) => Ok(()),
            exit = self.exited() => Err(exit),
        }
    }

    /// Waits for the end of the process and says how it ended.
    pub(super) async fn exited(&self) -> String {
        let mut exit = self.exit.subscribe();
        let ended = exit.wait_for(Option::is_some).await;
        ended.ok().and_then(|exit| exit.clone()).unwrap_or_default()
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Sends SIGKILL; `exited` waits for the end.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    pub(super) fn rest(&self) {
        *lock(&self.idle_since) = Instant::now();
    }

    pub(super) fn idle_for(&self) -> Duration {
        lock(&self.idle_since).elapsed()
    }

    /// The most memory that the process has used so far, in KiB.
    pub(super) fn memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    }
}

async fn supervise(instance: Arc<Instance>, mut child: Child, function: String, logs: Arc<Logs>) {
    let mut readers = JoinSet::new();
    if let Some(output) = child.stdout.take() {
        readers.spawn(copy_lines(output, function.clone(), Arc::clone(&logs)));
    }
    if let Some(output) = child.stderr.take() {
        readers.spawn(copy_lines(output, function, logs));
    }
    let status = tokio::select! {
        status = child.wait() => status,
        () = instance.kill.notified() => {
            // It fails only for a process that has just ended.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    let _ = tokio::time::timeout(LAST_LINES, async { while readers.join_next().await.is_some() {} }).await;
    let description = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    instance.exit.send_replace(Some(description));
}

async fn copy_lines(output: impl AsyncRead + Unpin, function: String, logs: Arc<Logs>) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        logs.write(&function, &String::from_utf8_lossy(&line));
    }
}
