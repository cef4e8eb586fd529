//! The folder of everything that lasts.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::{held_file, options::Options};

/// The file that says where a local cloud runs.
pub(crate) const URL_FILE: &str = "url";
/// The file that a running local cloud holds, so that no other one uses, or removes, what it works with.
const LOCK_FILE: &str = "lock";

/// The folder, held by this local cloud, and removed at the end unless it is kept.
pub(super) struct State {
    folder: PathBuf,
    keep: bool,
    // Held as long as the local cloud runs.
    _lock: File,
}

impl State {
    pub(super) fn open(options: &Options) -> anyhow::Result<Self> {
        let folder = options.state.clone();
        let open = || format!("the folder {} can't be used", folder.display());
        std::fs::create_dir_all(&folder).with_context(open)?;
        let lock = held_file::hold(&folder.join(LOCK_FILE)).with_context(open)?;
        let Some(lock) = lock else {
            bail!(
                "another local cloud is using {}: stop that one first",
                folder.display()
            )
        };
        if options.fresh {
            clear(&folder).with_context(open)?;
        }
        Ok(Self {
            folder,
            keep: options.keep_state,
            _lock: lock,
        })
    }

    /// Lets the command line find the local cloud.
    pub(super) fn announce(&self, url: &str) -> std::io::Result<()> {
        std::fs::write(self.folder.join(URL_FILE), url)
    }
}

fn clear(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            std::fs::remove_dir_all(&path)?;
        } else if !path.ends_with(LOCK_FILE) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

impl Drop for State {
    fn drop(&mut self) {
        // What can't be removed any more is no reason to fail.
        let _ = std::fs::remove_file(self.folder.join(URL_FILE));
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_one_local_cloud_and_is_cleared_only_by_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::for_tests(folder.path());
        options.state = folder.path().join("state");
        options.keep_state = true;
        let state = State::open(&options).unwrap();
        state.announce("http://127.0.0.1:1").unwrap();
        std::fs::write(options.state.join("data"), "").unwrap();
        options.fresh = true;
        assert!(State::open(&options).is_err());
        assert!(options.state.join("data").exists());
        drop(state);
        assert!(!options.state.join(URL_FILE).exists());
        drop(State::open(&options).unwrap());
        assert!(!options.state.join("data").exists());
        options.keep_state = false;
        drop(State::open(&options).unwrap());
        assert!(!options.state.exists());
    }
}
