//! A file that one process at a time holds.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a held lock may take to be released.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Holds the file until it is dropped; `None` when another process holds it.
///
/// Waits a little: a process that another thread is just starting has a copy of a file that was released, until it runs
/// its own program.
pub(crate) fn hold(path: &Path) -> std::io::Result<Option<File>> {
    let file = File::create(path)?;
    let end = Instant::now() + RELEASE_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() > end => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL_EVERY),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_held_file_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = hold(&path).unwrap();
        assert!(held.is_some());
        assert!(hold(&path).unwrap().is_none());
        drop(held);
        assert!(hold(&path).unwrap().is_some());
    }

    #[test]
    fn processes_that_are_being_started_don_t_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::thread::scope(|scope| {
            let starting = scope.spawn(|| {
                for _ in 0..200 {
                    Command::new("true").status().unwrap();
                }
            });
            while !starting.is_finished() {
                assert!(hold(&path).unwrap().is_some());
            }
        });
    }
}
