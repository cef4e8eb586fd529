//! What benchmarks stand on: the binaries that they start, and the machine they ran on.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::Result;

/// An argument of a benchmark: to measure the binaries of development, which are there sooner.
const DEVELOPMENT: &str = "--development";

/// A folder in `lab` with the binaries of development, and in the place of those of the operations that are measured the
/// artifacts that are deployed, unless the benchmark was told otherwise.
///
/// # Errors
/// When one isn't built.
pub fn binaries(root: &Path, lab: &Path, measured: &[&str]) -> Result<PathBuf> {
    let folder = lab.join("binaries");
    std::fs::create_dir(&folder)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    for entry in
        std::fs::read_dir(target.join("debug")).context("run `cargo build --workspace --bins` first")?
    {
        let path = entry?.path();
        if path.is_file() && path.extension().is_none() {
            let name = path.file_name().context("no name")?;
            std::os::unix::fs::symlink(&path, folder.join(name))?;
        }
    }
    if std::env::args().any(|argument| argument == DEVELOPMENT) {
        return Ok(folder);
    }
    for operation in measured {
        let artifact = target.join("lambda").join(operation).join("bootstrap");
        let is_there = artifact.is_file();
        ensure!(
            is_there,
            "`infra/tools/build-artifacts.sh {operation}` first, or pass {DEVELOPMENT}"
        );
        let link = folder.join(operation);
        // A function of the benchmarks' own has no binary of development.
        if link.exists() {
            std::fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(artifact, link)?;
    }
    Ok(folder)
}

/// The processor, how many of it there are, what else they have to do, and which binaries are measured.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models: Vec<&str> = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, model)| model.trim())
        .collect();
    let model = models.first().copied().unwrap_or("an unknown processor");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("?");
    let built = match std::env::args().any(|argument| argument == DEVELOPMENT) {
        true => "binaries of development",
        false => "artifacts as deployed",
    };
    format!("{} × {model}, load {load} before; {built}", models.len())
}
