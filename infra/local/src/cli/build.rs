//! Builds the functions' binaries.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::{options::Options, progress};

/// Builds every binary of the workspace, with cargo's own progress on the terminal.
pub(super) async fn build(root: &Path) -> anyhow::Result<()> {
    progress::say("Building the functions: cargo build --workspace --bins");
    let status = Command::new("cargo")
        .args(["build", "--workspace", "--bins"])
        .current_dir(root)
        .kill_on_drop(true)
        .status()
        .await
        .context("cargo can't be started")?;
    if !status.success() {
        bail!("the functions don't build; cargo said why above");
    }
    Ok(())
}

/// Fails when a function's binary is missing.
pub(super) fn check(options: &Options, functions: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let missing: BTreeSet<String> = functions
        .filter(|name| !options.binaries.join(name).is_file())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.into_iter().collect::<Vec<_>>().join(", ");
    bail!(
        "these functions aren't built in {}: {missing}",
        options.binaries.display()
    )
}
