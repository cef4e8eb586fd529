//! Processor time of the database's server.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;

/// How many ticks a second has in `/proc`.
const TICKS: u64 = 100;
/// Longer than a session takes to end.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

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
        // A process that ends between two looks at `/proc` is nowhere in them, or twice: until none does.
        let mut before = self.look()?;
        loop {
            std::thread::sleep(BETWEEN_LOOKS);
            let now = self.look()?;
            if now.processes == before.processes && now.of_ended == before.of_ended {
                return Ok((now.of_processes + now.of_ended) * 1_000_000 / TICKS);
            }
            before = now;
        }
    }

    fn look(self) -> anyhow::Result<Look> {
        let mut look = Look::default();
        for entry in fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse() else {
                continue;
            };
            let Some(stat) = Stat::read(pid) else { continue };
            if pid == self.postmaster {
                look.of_processes += stat.own;
                look.of_ended = stat.of_children;
            } else if stat.parent == self.postmaster {
                look.of_processes += stat.own;
                look.processes.insert(pid);
            }
        }
        Ok(look)
    }
}

/// What `/proc` shows at one time, in ticks.
#[derive(Debug, Default)]
struct Look {
    processes: BTreeSet<u32>,
    of_processes: u64,
    of_ended: u64,
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
