//! A sandbox's state behind a lock, kept in a JSON file a moment after each change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::util::lock;

/// Changes within this time are written together.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// A state that takes long to write is written less often: the sandbox stands still meanwhile.
const PAUSE_PER_WRITE: u32 = 20;

/// A state that can be kept in a file.
pub(super) trait State: Serialize + DeserializeOwned + Default + Send + 'static {}

impl<S: Serialize + DeserializeOwned + Default + Send + 'static> State for S {}

/// A state behind a lock, and the task that writes it into its file, if it has one.
#[derive(Debug)]
pub(super) struct Stored<S> {
    state: Arc<Mutex<S>>,
    changed: Arc<Notify>,
    file: Option<Arc<StateFile>>,
    task: Option<JoinHandle<()>>,
}

impl<S: State> Stored<S> {
    /// The state in the file, or the first one if there is no file yet; from now on changes are written.
    pub(super) fn open(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let file = file.map(|path| Arc::new(StateFile::new(path)));
        let first = file
            .as_ref()
            .map_or_else(|| Ok(S::default()), |file| file.read())?;
        let (state, changed) = (Arc::new(Mutex::new(first)), Arc::new(Notify::new()));
        let task = file.clone().map(|file| {
            let (state, changed) = (Arc::clone(&state), Arc::clone(&changed));
            tokio::spawn(write_after_changes(state, changed, file))
        });
        Ok(Self {
            state,
            changed,
            file,
            task,
        })
    }

    /// Writes the last state, and none of what changes later.
    pub(super) fn close(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        if let Some(file) = &self.file {
            file.write(&self.state);
        }
    }
}

impl<S> Stored<S> {
    pub(super) fn lock(&self) -> MutexGuard<'_, S> {
        lock(&self.state)
    }

    /// The state has changed.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }
}

async fn write_after_changes<S: State>(state: Arc<Mutex<S>>, changed: Arc<Notify>, file: Arc<StateFile>) {
    let mut pause = WRITE_EVERY;
    loop {
        changed.notified().await;
        tokio::time::sleep(pause).await;
        let (state, file) = (Arc::clone(&state), Arc::clone(&file));
        let begin = Instant::now();
        let _ = tokio::task::spawn_blocking(move || file.write(&state)).await;
        pause = WRITE_EVERY.max(begin.elapsed() * PAUSE_PER_WRITE);
    }
}

#[derive(Debug)]
struct StateFile {
    path: PathBuf,
    /// One writes at a time.
    writing: Mutex<()>,
}

impl StateFile {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            writing: Mutex::new(()),
        }
    }

    fn read<S: State>(&self) -> anyhow::Result<S> {
        let path = self.path.display();
        match std::fs::read(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(S::default()),
            read => {
                let content = read.with_context(|| format!("cannot read {path}"))?;
                serde_json::from_slice(&content).with_context(|| format!("{path} is damaged"))
            }
        }
    }

    fn write<S: State>(&self, state: &Mutex<S>) {
        let _writing = lock(&self.writing);
        let content = serde_json::to_vec(&*lock(state));
        let written = content
            .map_err(std::io::Error::from)
            .and_then(|content| replace(&self.path, &content));
        if let Err(error) = written {
            tracing::warn!(%error, file = %self.path.display(), "saving a sandbox's state failed");
        }
    }
}

/// Writes beside and renames, so that a half-written state is never found.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, content)?;
    std::fs::rename(unfinished, path)
}
