//! Processor time of the database's server.

use std::fs;

use anyhow::Context;
use sqlx::PgPool;

/// How many ticks a second has in `/proc`.
const TICKS: u64 = 100;

/// The server's processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    postmaster: u32,
}

impl Server {
    pub(crate) async fn of(pool: &PgPool) -> anyhow::Result<Self> {
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(pool)
            .await?;
        let stat = Stat::read(u32::try_from(backend)?).context("the database is on another machine")?;
        Ok(Self {
            postmaster: stat.parent,
        })
    }

    /// Microseconds of processor time that all its processes, those that have ended too, have taken so far.
    pub(crate) fn micros(self) -> anyhow::Result<u64> {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse() else {
                continue;
            };
            // A process may end while it is read: then its time is in the postmaster's.
            let Some(stat) = Stat::read(pid) else { continue };
            if pid == self.postmaster {
                ticks += stat.own + stat.of_children;
            } else if stat.parent == self.postmaster {
                ticks += stat.own;
            }
        }
        Ok(ticks * 1_000_000 / TICKS)
    }
}

struct Stat {
    parent: u32,
    own: u64,
    of_children: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may hold anything: state, parent, and from the twelfth on the times.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            of_children: ticks(13)? + ticks(14)?,
        })
    }
}
