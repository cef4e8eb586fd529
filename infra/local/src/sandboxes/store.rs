//! Keeps a sandbox's state in a JSON file, a moment after each change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Changes within this time are written together.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// A state that takes long to write is written less often: the sandbox stands still meanwhile.
const PAUSE_PER_WRITE: u32 = 20;

/// Where a sandbox reports that its state has changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Arc<Notify>);

impl Changes {
    /// The state has changed.
    pub(super) fn changed(&self) {
        self.0.notify_one();
    }
}

/// The state in the file, or the usual one if there is no file yet.
pub(super) fn load<T: DeserializeOwned + Default>(file: Option<&Path>) -> anyhow::Result<T> {
    let Some(file) = file else {
        return Ok(T::default());
    };
    match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        read => {
            let content = read.with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&content).with_context(|| format!("{} is damaged", file.display()))
        }
    }
}

/// The task that writes one sandbox's state.
#[derive(Debug)]
pub(super) struct Saver {
    task: JoinHandle<()>,
    last: Arc<dyn Save>,
}

/// Writes the state as it is now.
pub(super) trait Save: Send + Sync + std::fmt::Debug {
    fn save(&self);
}

/// A file and how to get its content.
pub(super) struct Snapshot<F> {
    pub(super) file: PathBuf,
    pub(super) content: F,
}

impl<F> std::fmt::Debug for Snapshot<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Snapshot")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl<F: Fn() -> serde_json::Result<Vec<u8>> + Send + Sync> Save for Snapshot<F> {
    fn save(&self) {
        let written = (self.content)()
            .map_err(std::io::Error::from)
            .and_then(|content| write(&self.file, &content));
        if let Err(error) = written {
            tracing::warn!(%error, file = %self.file.display(), "a sandbox's state could not be kept");
        }
    }
}

impl Saver {
    /// Writes the snapshot after every change, as long as the saver lives.
    pub(super) fn start(changes: &Changes, snapshot: impl Save + 'static) -> Self {
        let changed = Arc::clone(&changes.0);
        let snapshot: Arc<dyn Save> = Arc::new(snapshot);
        let last = Arc::clone(&snapshot);
        let task = tokio::spawn(async move {
            let mut pause = WRITE_EVERY;
            loop {
                changed.notified().await;
                tokio::time::sleep(pause).await;
                let snapshot = Arc::clone(&snapshot);
                let begin = Instant::now();
                let _ = tokio::task::spawn_blocking(move || snapshot.save()).await;
                pause = WRITE_EVERY.max(begin.elapsed() * PAUSE_PER_WRITE);
            }
        });
        Self { task, last }
    }

    /// Writes the last state and ends.
    pub(super) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
        self.last.save();
    }
}

/// Writes beside and renames, so that a half-written state is never found.
fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unfinished = file.with_extension("new");
    std::fs::write(&unfinished, content)?;
    std::fs::rename(unfinished, file)
}
