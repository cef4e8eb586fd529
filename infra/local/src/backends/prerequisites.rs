//! The prerequisites on the machine: PostgreSQL's server programs. Everything else is in this binary.

use std::path::PathBuf;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::progress::Progress;

const PACKAGE: &str = "postgresql";

/// Makes sure that PostgreSQL's server programs are there: installs them where that is allowed, else says how to.
pub(crate) async fn ensure_postgres(progress: Progress) -> anyhow::Result<()> {
    if has_postgres() {
        return Ok(());
    }
    let command = format!("apt-get install --yes --no-install-recommends {PACKAGE}");
    if !rustix::process::geteuid().is_root() || !on_path("apt-get") {
        bail!(
            "PostgreSQL's server programs (initdb, postgres) aren't installed. On Debian and Ubuntu: sudo {command}"
        );
    }
    progress.note(format_args!(
        "PostgreSQL's server programs aren't installed; running: {command}"
    ));
    // The package would start a server of its own, were it not for its clusters' configuration.
    run_apt(&["update"]).await?;
    run_apt(&["install", "--yes", "--no-install-recommends", PACKAGE]).await?;
    if !has_postgres() {
        bail!("{command} ran, but initdb and postgres still aren't there");
    }
    Ok(())
}

async fn run_apt(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .await
        .context("apt-get can't be started")?;
    if !output.status.success() {
        bail!(
            "apt-get {} failed:\n{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn has_postgres() -> bool {
    let packaged = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let packaged = packaged.map(|version| version.path().join("bin"));
    folders()
        .chain(packaged)
        .any(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

fn on_path(program: &str) -> bool {
    folders().any(|folder| folder.join(program).is_file())
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}
