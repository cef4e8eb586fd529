//! PostgreSQL: the distribution's server as a direct child, with its own data directory.
//!
//! The server refuses to run as root, so under root it runs as `nobody`, and its data directory moves to `/var/tmp` when
//! that user can't reach the state directory. The server ends with this process however this ends: by `stop`, by being
//! dropped, or (where `setpriv` of util-linux exists) by the kernel's signal at the death of the parent. A server that an
//! earlier run left behind all the same is stopped first.
//!
//! Both roles sign in with a password of their own, which the state directory keeps for its owner: other users of the
//! machine reach the port too.

mod durability;
mod roles;
mod scram;
mod test_database;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::sync::oneshot;

pub(crate) use self::durability::Durability;
use self::durability::SETTINGS;
pub use self::test_database::TestDatabase;
use crate::keys::load_or_make_password;
use crate::util::held_file;

/// The folder of the state directory with everything of the server.
pub(crate) const FOLDER: &str = "postgres";
const DATABASE: &str = "moneta";
const ROLE: &str = "moneta";
const SUPERUSER: &str = "postgres";
const NOBODY: u32 = 65534;
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(20);
const START_ATTEMPTS: usize = 5;

/// Who may connect, and how: everybody on this machine who knows the password.
const ACCESS: &str = "host all all 127.0.0.1/32 scram-sha-256\n";

/// How a server is ended.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Sessions are ended, and what is in memory is written.
    Orderly,
    /// At once, as by a crash: the next start recovers.
    Crash,
}

/// A running PostgreSQL with the database `moneta`, which the role `moneta` owns.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    superuser_url: String,
    port: u16,
    stop: mpsc::Sender<Ending>,
    thread: JoinHandle<anyhow::Result<ExitStatus>>,
    // Held as long as the server runs: two local clouds must not share a data directory.
    _lock: File,
}

impl Postgres {
    /// Starts the server on the data in `state_dir/postgres`, which it makes on first use.
    pub async fn start(state_dir: &Path) -> anyhow::Result<Self> {
        Self::start_with(state_dir, None, Durability::Quick).await
    }

    /// As [`Self::start`], on this port or a free one.
    pub(crate) async fn start_with(
        state_dir: &Path,
        port: Option<u16>,
        durability: Durability,
    ) -> anyhow::Result<Self> {
        let state_dir = state_dir.to_owned();
        let (mut server, lock) = tokio::task::spawn_blocking(move || prepare(&state_dir)).await??;
        server.settings = durability.settings();
        let (port, stop, thread) = server.start(port).await?;
        let address = format!("127.0.0.1:{port}");
        let Passwords { superuser, owner } = &server.passwords;
        let postgres = Self {
            url: format!("postgres://{ROLE}:{owner}@{address}/{DATABASE}"),
            superuser_url: format!("postgres://{SUPERUSER}:{superuser}@{address}/{DATABASE}"),
            port,
            stop,
            thread,
            _lock: lock,
        };
        let administration = format!("postgres://{SUPERUSER}:{superuser}@{address}/postgres");
        roles::create_database(&administration, owner).await?;
        Ok(postgres)
    }

    /// Makes users who may sign in, with the owner's password, and nothing else: their rights are for migrations to give.
    ///
    /// # Errors
    /// When the server refuses one.
    pub async fn create_users(&self, users: &BTreeSet<String>) -> anyhow::Result<()> {
        roles::create_users(&self.superuser_url, users).await
    }

    /// The URL of the database for the role that owns it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the database for the superuser.
    pub fn superuser_url(&self) -> &str {
        &self.superuser_url
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server and its connections; the data is kept.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.end(Ending::Orderly).await
    }

    /// Ends the server at once, as a crash would (`pg_ctl stop -m immediate`).
    pub(crate) async fn crash(self) -> anyhow::Result<()> {
        self.end(Ending::Crash).await
    }

    async fn end(self, ending: Ending) -> anyhow::Result<()> {
        tokio::task::spawn_blocking(move || self.end_and_wait(ending)).await?
    }

    /// As [`Self::end`], where nothing can be awaited.
    fn end_and_wait(self, ending: Ending) -> anyhow::Result<()> {
        let _ = self.stop.send(ending);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow::anyhow!("the thread of PostgreSQL panicked"))??;
        Ok(())
    }
}

/// The server's programs, its user and its place.
#[derive(Debug, Clone)]
struct Server {
    programs: PathBuf,
    /// The user to run as, when this process is root's.
    user: Option<u32>,
    /// The folder with the data directory and the server's log.
    base: PathBuf,
    /// Beside those of every server.
    settings: &'static [&'static str],
    passwords: Passwords,
}

/// The roles' passwords.
#[derive(Clone)]
struct Passwords {
    superuser: String,
    owner: String,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passwords")
    }
}

fn prepare(state_dir: &Path) -> anyhow::Result<(Server, File)> {
    std::fs::create_dir_all(state_dir)?;
    let state_dir = state_dir.canonicalize()?;
    let lock_file = state_dir.join("postgres.lock");
    let lock = held_file::hold(&lock_file)?
        .with_context(|| format!("another local cloud is using {}", lock_file.display()))?;
    let user = rustix::process::geteuid().is_root().then_some(NOBODY);
    let base = match user {
        Some(user) => base_for(user, &state_dir)?,
        None => state_dir.join(FOLDER),
    };
    let (superuser, is_new) = load_or_make_password(&state_dir.join("keys/postgres-superuser"))?;
    let (owner, _) = load_or_make_password(&state_dir.join("keys/postgres-owner"))?;
    let server = Server {
        programs: find_programs()?,
        user,
        base,
        settings: Durability::Quick.settings(),
        passwords: Passwords { superuser, owner },
    };
    server.make_folders()?;
    let was_there = server.initialize()?;
    server.stop_stale()?;
    if was_there && is_new {
        server.set_superusers_password()?;
    }
    Ok((server, lock))
}

/// Another user must be able to walk down to the data; the state directory itself we may open for that.
fn base_for(user: u32, state_dir: &Path) -> anyhow::Result<PathBuf> {
    let reachable = |folder: &Path| {
        std::fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    };
    if state_dir.ancestors().skip(1).all(reachable) {
        let mode = std::fs::metadata(state_dir)?.permissions().mode();
        std::fs::set_permissions(state_dir, PermissionsExt::from_mode(mode | 0o011))?;
        return Ok(state_dir.join(FOLDER));
    }
    let base = elsewhere(state_dir);
    tracing::info!(user, base = %base.display(), "PostgreSQL's user can't reach the state directory");
    Ok(base)
}

/// Where the data of a state directory is that PostgreSQL's user can't reach. It belongs to the state all the same, and
/// goes with it.
pub(crate) fn elsewhere(state_dir: &Path) -> PathBuf {
    let name = uuid::Uuid::new_v5(
        &uuid::Uuid::NAMESPACE_URL,
        state_dir.as_os_str().as_encoded_bytes(),
    );
    PathBuf::from(format!("/var/tmp/moneta-postgres-{name}"))
}

/// The folder of the server's programs, and of those that come with it.
///
/// # Errors
/// When the server isn't installed.
pub fn find_programs() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("PostgreSQL's server is not installed (on Debian: apt-get install postgresql)")
}

impl Server {
    fn data(&self) -> PathBuf {
        self.base.join("data")
    }

    fn make_folders(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.base)?;
        std::fs::set_permissions(&self.base, PermissionsExt::from_mode(0o700))?;
        chown(&self.base, self.user, self.user)
            .context("cannot give the data directory to PostgreSQL's user")?;
        self.write_private("pg_hba.conf", ACCESS)?;
        Ok(())
    }

    /// Writes a file that only PostgreSQL's user may read.
    fn write_private(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let path = self.base.join(name);
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(content.as_bytes())?;
        chown(&path, self.user, self.user)?;
        Ok(path)
    }

    /// Makes the data directory, unless it is there, which it says. It is made under another name first, so that one half
    /// made is never taken for a whole one.
    fn initialize(&self) -> anyhow::Result<bool> {
        if self.data().exists() {
            return Ok(true);
        }
        let unfinished = self.base.join("data.new");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        let password = self.write_private("password", &self.passwords.superuser)?;
        let done = self
            .as_its_user("initdb")
            .arg("-D")
            .arg(&unfinished)
            .args([
                "-U",
                SUPERUSER,
                "-A",
                "scram-sha-256",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ])
            .arg("--pwfile")
            .arg(&password)
            .current_dir(&self.base)
            .stdin(Stdio::null())
            .output()
            .context("cannot run initdb")?;
        std::fs::remove_file(password)?;
        ensure!(
            done.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        std::fs::rename(unfinished, self.data())?;
        Ok(false)
    }

    /// Gives the superuser its password in data that knows another, or none as that of older versions did.
    fn set_superusers_password(&self) -> anyhow::Result<()> {
        let mut alone = self
            .as_its_user("postgres")
            .args(["--single", "-D"])
            .arg(self.data())
            .arg("postgres")
            .current_dir(&self.base)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run postgres by itself")?;
        let password = &self.passwords.superuser;
        if let Some(mut input) = alone.stdin.take() {
            writeln!(input, "ALTER ROLE {SUPERUSER} PASSWORD '{password}';")?;
        }
        let done = alone.wait_with_output()?;
        ensure!(
            done.status.success(),
            "the superuser's password can't be set: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(())
    }

    /// A program of the server's, run by its user.
    fn as_its_user(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Stops the server of an earlier run that was killed, and removes the file it left.
    fn stop_stale(&self) -> anyhow::Result<()> {
        let pid_file = self.data().join("postmaster.pid");
        let Ok(content) = std::fs::read_to_string(&pid_file) else {
            return Ok(());
        };
        let pid = content
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|pid| self.is_server(*pid)) {
            tracing::warn!(
                pid = pid.as_raw_nonzero().get(),
                "stopping the PostgreSQL of an earlier run"
            );
            for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
                let _ = kill_process(pid, signal);
                if wait_until(STOPPED_WITHIN, || !self.is_server(pid)) {
                    break;
                }
            }
            ensure!(
                !self.is_server(pid),
                "the PostgreSQL of an earlier run doesn't end: {pid:?}"
            );
        }
        // A killed server leaves the file, and a new one refuses to start while its process number is in use.
        match std::fs::remove_file(pid_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether the process is alive (not a zombie) and serves this data directory.
    fn is_server(&self, pid: Pid) -> bool {
        if test_kill_process(pid).is_err() {
            return false;
        }
        let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
        // A zombie has an empty command line. Without /proc the file has to do.
        match std::fs::read(process.join("cmdline")) {
            Ok(command) => contains(&command, self.data().as_os_str().as_encoded_bytes()),
            Err(_) => !Path::new("/proc/self").exists(),
        }
    }

    async fn start(
        &self,
        fixed: Option<u16>,
    ) -> anyhow::Result<(u16, mpsc::Sender<Ending>, JoinHandle<anyhow::Result<ExitStatus>>)> {
        let mut last = anyhow::anyhow!("not tried");
        // A free port is free when chosen; another program may be faster.
        let attempts = if fixed.is_some() { 1 } else { START_ATTEMPTS };
        for _ in 0..attempts {
            let port = fixed.map_or_else(free_port, Ok)?;
            let (report, started) = oneshot::channel();
            let (stop, stopped) = mpsc::channel();
            let server = self.clone();
            // The kernel's signal is sent at the end of the THREAD that started the child, so this one lives as long.
            let thread = std::thread::Builder::new()
                .name("postgres".to_owned())
                .spawn(move || server.run(port, report, &stopped))?;
            match started.await.context("the thread of PostgreSQL ended")? {
                Ok(()) => {
                    self.wait_until_ready(port).await?;
                    return Ok((port, stop, thread));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn run(
        &self,
        port: u16,
        report: oneshot::Sender<anyhow::Result<()>>,
        stopped: &mpsc::Receiver<Ending>,
    ) -> anyhow::Result<ExitStatus> {
        let started = self.spawn(port).and_then(|mut child| {
            self.wait_until_listening(&mut child)?;
            Ok(child)
        });
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                let _ = report.send(Err(error));
                bail!("PostgreSQL did not start");
            }
        };
        let _ = report.send(Ok(()));
        // Ends as it is told, or when the handle is dropped.
        stop_child(&mut child, stopped.recv().unwrap_or(Ending::Orderly))
    }

    fn spawn(&self, port: u16) -> anyhow::Result<Child> {
        let log = File::create(self.base.join("postgres.log"))?;
        let mut command = self.command();
        command.arg("-D").arg(self.data()).args(["-p", &port.to_string()]);
        let access = format!("hba_file={}", self.base.join("pg_hba.conf").display());
        for setting in SETTINGS
            .iter()
            .copied()
            .chain(self.settings.iter().copied())
            .chain([access.as_str()])
        {
            command.args(["-c", setting]);
        }
        command
            .current_dir(&self.base)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A terminal's Ctrl-C is for the local cloud, which then stops the server in its turn.
            .process_group(0)
            .spawn()
            .context("cannot start PostgreSQL")
    }

    fn command(&self) -> Command {
        let program = self.programs.join("postgres");
        let Some(mut command) = setpriv() else {
            let mut command = Command::new(program);
            if let Some(user) = self.user {
                command.uid(user).gid(user);
            }
            return command;
        };
        command.args(["--pdeathsig", "INT"]);
        if let Some(user) = self.user {
            let user = user.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        }
        command.arg(program);
        command
    }

    async fn wait_until_ready(&self, port: u16) -> anyhow::Result<()> {
        let password = &self.passwords.superuser;
        let options = options(&format!(
            "postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
        ))?;
        let end = Instant::now() + READY_WITHIN;
        loop {
            match options.connect().await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) if Instant::now() > end => return Err(error.into()),
                Err(_) => tokio::time::sleep(POLL_EVERY).await,
            }
        }
    }

    /// Waits for the server's own status in its pid file, so that another server on the port isn't taken for it.
    fn wait_until_listening(&self, child: &mut Child) -> anyhow::Result<()> {
        let pid_file = self.data().join("postmaster.pid");
        let id = child.id().to_string();
        let listening = wait_until(READY_WITHIN, || {
            let content = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let ready = content.lines().next().map(str::trim) == Some(id.as_str())
                && content.lines().last().map(str::trim) == Some("ready");
            ready || !matches!(child.try_wait(), Ok(None))
        });
        let ended = child.try_wait()?;
        if listening && ended.is_none() {
            return Ok(());
        }
        let _ = stop_child(child, Ending::Orderly);
        let log = std::fs::read_to_string(self.base.join("postgres.log")).unwrap_or_default();
        bail!("PostgreSQL did not start: {log}")
    }
}

/// `setpriv`, when it exists and can ask for a signal at the parent's death.
fn setpriv() -> Option<Command> {
    let works = Command::new("setpriv")
        .args(["--pdeathsig", "INT", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    works.then(|| Command::new("setpriv"))
}

fn stop_child(child: &mut Child, ending: Ending) -> anyhow::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // Fast shutdown first; then without a farewell to the connections.
    let signals: &[Signal] = match ending {
        Ending::Orderly => &[Signal::INT, Signal::QUIT],
        Ending::Crash => &[Signal::QUIT],
    };
    for signal in signals.iter().copied() {
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
        if wait_until(STOPPED_WITHIN, || !matches!(child.try_wait(), Ok(None))) {
            return Ok(child.wait()?);
        }
    }
    child.kill()?;
    Ok(child.wait()?)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(POLL_EVERY);
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn options(url: &str) -> anyhow::Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(url)?.disable_statement_logging())
}
