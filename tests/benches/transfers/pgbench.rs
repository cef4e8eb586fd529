//! What transfers are measured against: scripts of plain SQL, by the pgbench that comes with the server.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use local_cloud::backends::postgres_programs;
use tokio::process::Command;

use crate::load::{Load, SECONDS, Spread};

/// A script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    /// Two balances, two payments, one commit, each a statement; on tables of the same shape.
    Minimum,
    /// The same on tables as narrow as they can be.
    NarrowMinimum,
    /// One function that locks both rows; on tables of the same shape.
    RowLock,
    /// The same on tables as narrow as they can be.
    NarrowRowLock,
    /// A ledger with text ids, numeric amounts and versioned accounts.
    Ledger,
}

impl Script {
    fn sql(self) -> &'static str {
        match self {
            Self::Minimum => include_str!("minimum.sql"),
            Self::NarrowMinimum => include_str!("narrow_minimum.sql"),
            Self::RowLock => include_str!("row_lock.sql"),
            Self::NarrowRowLock => include_str!("narrow_row_lock.sql"),
            Self::Ledger => include_str!("ledger.sql"),
        }
    }
}

/// Runs scripts against one database.
#[derive(Debug)]
pub(crate) struct Pgbench {
    program: PathBuf,
    database_url: String,
    folder: tempfile::TempDir,
}

impl Pgbench {
    pub(crate) fn new(database_url: &str) -> anyhow::Result<Self> {
        // The server itself may be a link to where it was installed.
        let server = postgres_programs()?.join("postgres").canonicalize()?;
        let program = server.with_file_name("pgbench");
        ensure!(
            program.is_file(),
            "there is no {}; it comes with PostgreSQL's server",
            program.display()
        );
        Ok(Self {
            program,
            database_url: database_url.to_owned(),
            folder: tempfile::tempdir()?,
        })
    }

    /// Runs the script for [`SECONDS`]; gives the transactions per second.
    pub(crate) async fn run(&self, script: Script, load: Load) -> anyhow::Result<u64> {
        let payer = match load.spread {
            Spread::Even => "random(1, :wallets)",
            // As near to load::Pairs as pgbench goes.
            Spread::Zipf => "random_zipfian(1, :wallets, 1.001)",
        };
        let file = self.folder.path().join("script.sql");
        let sql = format!(
            "\\set payer {payer}\n\\set receiver 1 + (:payer + random(0, :wallets - 2)) % :wallets\n{}",
            script.sql()
        );
        tokio::fs::write(&file, sql).await?;
        let connections = load.connections.to_string();
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--client", &connections])
            .args(["--jobs", if load.connections == 1 { "1" } else { "2" }])
            .args(["--time", &SECONDS.to_string()])
            .args(["--define", &format!("wallets={}", load.wallets)])
            .arg("--file")
            .arg(&file)
            .arg(&self.database_url)
            .stdin(Stdio::null())
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "pgbench failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let rate = text
            .split_once("tps = ")
            .and_then(|(_, rest)| rest.split_once('.'))
            .context("pgbench told no rate")?;
        Ok(rate.0.parse()?)
    }
}
