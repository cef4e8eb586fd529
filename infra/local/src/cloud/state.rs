//! The folder of everything that lasts.

use std::{
    fs::File,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::fs::Mode;

use super::databases::{NODE_FOLDER, folders_of_nodes};
use crate::{
    backends::{POSTGRES_FOLDER, postgres_elsewhere},
    options::{Options, TEMPORARY_STATE},
    util::held_file,
};

/// The file that says where a local cloud runs.
pub(crate) const URL_FILE: &str = "url";
/// The file with the database's address and its password.
const DATABASE_URL_FILE: &str = "database-url";
/// The file that a running local cloud holds, so that no other one uses, or removes, what it works with.
const LOCK_FILE: &str = "lock";
/// A folder that doesn't last and is older than this was left behind, unless it is held: its local cloud was killed.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(3600);

/// The folder, held by this local cloud, and removed at the end unless it is kept.
pub(super) struct State {
    folder: PathBuf,
    keep: bool,
    was_killed: bool,
    // Held as long as the local cloud runs.
    _lock: File,
}

impl State {
    pub(super) fn open(options: &Options) -> anyhow::Result<Self> {
        let open = || format!("the folder {} can't be used", options.state.display());
        keep_to_owner();
        std::fs::create_dir_all(&options.state).with_context(open)?;
        let folder = options.state.canonicalize().with_context(open)?;
        let lock = held_file::hold(&folder.join(LOCK_FILE)).with_context(open)?;
        let Some(lock) = lock else {
            bail!(
                "another local cloud is using {}: stop that one first",
                folder.display()
            )
        };
        // Not before: the server of another local cloud would find its way closed.
        close(&folder).with_context(open)?;
        if options.fresh {
            clear(&folder).with_context(open)?;
        }
        // Whoever ends in order takes the file along.
        let was_killed = folder.join(URL_FILE).exists();
        if !options.keep_state {
            sweep(&folder, LEFT_BEHIND_AFTER);
        }
        Ok(Self {
            folder,
            keep: options.keep_state,
            was_killed,
            _lock: lock,
        })
    }

    /// Whether the local cloud that used it last was killed.
    pub(super) fn was_killed(&self) -> bool {
        self.was_killed
    }

    /// Lets the command line find the local cloud, and its owner the databases, a further node's in the node's folder.
    pub(super) fn announce(&self, url: &str, database_url: &str, further: &[String]) -> std::io::Result<()> {
        std::fs::write(self.folder.join(DATABASE_URL_FILE), database_url)?;
        for (node, url) in (1..).zip(further) {
            let folder = self.folder.join(format!("{NODE_FOLDER}{node}"));
            std::fs::write(folder.join(DATABASE_URL_FILE), url)?;
        }
        std::fs::write(self.folder.join(URL_FILE), url)
    }
}

/// What this process and its children make from now on is for their user alone: the state holds keys, passwords, mails.
fn keep_to_owner() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Takes from others what an older version let them read. PostgreSQL's own folder is that of another user under root, for
/// whom the way to it is opened again later.
fn close(folder: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == POSTGRES_FOLDER {
            continue;
        }
        let mode = if entry.file_type()?.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

/// Removes what other local clouds left beside this one when they were killed. What can't be removed stays.
fn sweep(own: &Path, older_than: Duration) {
    let folders = own.parent().and_then(|parent| std::fs::read_dir(parent).ok());
    for entry in folders.into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let age = entry
            .metadata()
            .ok()
            .and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        let left = name.to_string_lossy().starts_with(TEMPORARY_STATE)
            && path != own
            && path.join(LOCK_FILE).exists()
            && age.is_some_and(|age| age >= older_than);
        // Held, it is in use.
        if left && let Ok(Some(_lock)) = held_file::hold(&path.join(LOCK_FILE)) {
            remove(&path);
        }
    }
}

/// The data of its databases that isn't in its folder.
fn databases_elsewhere(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let own = std::iter::once(folder.to_owned());
    own.chain(folders_of_nodes(folder))
        .map(|folder| postgres_elsewhere(&folder))
}

/// Removes a state as far as it can be removed.
fn remove(folder: &Path) {
    for data in databases_elsewhere(folder) {
        let _ = std::fs::remove_dir_all(data);
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn clear(folder: &Path) -> std::io::Result<()> {
    for data in databases_elsewhere(folder) {
        match std::fs::remove_dir_all(data) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
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
        // A file that can't be removed any more is no reason to fail.
        let _ = std::fs::remove_file(self.folder.join(URL_FILE));
        for folder in std::iter::once(self.folder.clone()).chain(folders_of_nodes(&self.folder)) {
            let _ = std::fs::remove_file(folder.join(DATABASE_URL_FILE));
        }
        if !self.keep {
            remove(&self.folder);
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
        state
            .announce(
                "http://127.0.0.1:1",
                "postgres://moneta:secret@127.0.0.1:2/moneta",
                &[],
            )
            .unwrap();
        assert!(!state.was_killed());
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(options.state.clone()), 0o700);
        assert_eq!(mode(options.state.join(DATABASE_URL_FILE)), 0o600);
        std::fs::write(options.state.join("data"), "").unwrap();
        let open_to_all = PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(options.state.join("data"), open_to_all).unwrap();
        options.fresh = true;
        assert!(State::open(&options).is_err());
        assert!(options.state.join("data").exists());
        drop(state);
        assert!(!options.state.join(URL_FILE).exists());
        options.fresh = false;
        std::fs::write(options.state.join(URL_FILE), "http://127.0.0.1:1").unwrap();
        let after_a_kill = State::open(&options).unwrap();
        assert!(after_a_kill.was_killed());
        drop(after_a_kill);
        assert_eq!(mode(options.state.join("data")), 0o600);
        options.fresh = true;
        drop(State::open(&options).unwrap());
        assert!(!options.state.join("data").exists());
        options.keep_state = false;
        drop(State::open(&options).unwrap());
        assert!(!options.state.exists());
    }

    #[test]
    fn the_state_of_a_killed_local_cloud_is_removed_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            (held_file::hold(&path.join(LOCK_FILE)).unwrap(), path)
        };
        let (left, left_path) = make("moneta-left");
        drop(left);
        let (_used, used_path) = make("moneta-used");
        let (foreign, foreign_path) = make("foreign");
        drop(foreign);
        let (own, own_path) = make("moneta-own");
        drop(own);
        sweep(&own_path, Duration::from_secs(60));
        assert!(left_path.exists());
        sweep(&own_path, Duration::ZERO);
        assert!(!left_path.exists());
        assert!(used_path.exists() && foreign_path.exists() && own_path.exists());
    }

    #[test]
    fn a_database_elsewhere_goes_with_its_state() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::for_tests(folder.path());
        options.state = folder.path().join("state");
        options.keep_state = true;
        std::fs::create_dir(&options.state).unwrap();
        let state = options.state.canonicalize().unwrap();
        let node = state.join(format!("{NODE_FOLDER}1"));
        let elsewhere = [postgres_elsewhere(&state), postgres_elsewhere(&node)];
        let make = || {
            for folder in [&node, &elsewhere[0], &elsewhere[1]] {
                std::fs::create_dir(folder).unwrap();
            }
        };
        let are_there = || elsewhere.iter().filter(|folder| folder.exists()).count();
        make();
        drop(State::open(&options).unwrap());
        assert_eq!(are_there(), 2);
        options.fresh = true;
        drop(State::open(&options).unwrap());
        assert_eq!(are_there(), 0);
        make();
        options.keep_state = false;
        drop(State::open(&options).unwrap());
        assert_eq!(are_there(), 0);
    }
}
