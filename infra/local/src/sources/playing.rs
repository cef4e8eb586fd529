//! Moving the clock: the schedules whose times are passed run in order, each at its own time, with the clock standing there,
//! and what they set going comes to rest before the clock moves on.
//!
//! What runs every few minutes does so for whatever has come meanwhile. It runs once a day and at the end, and not at each
//! of the thousands of times that a month has for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Sources;
use super::schedule::{self, Entry};
use crate::clock::{ClockMove, ClockView, OFFSET_VARIABLE, SchedulesToRun};

/// How long it is waited for a rest. Messages that failed wait for longer than this, and don't hold the clock up.
const REST_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether something is still going on.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So many looks in a row that show nothing are a rest: between two steps of a chain something is always to be seen.
const QUIET_LOOKS: u32 = 2;

/// The outcome of moving the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClockMoved {
    /// The clock afterwards.
    #[serde(flatten)]
    pub clock: ClockView,
    /// What ran on the way, in order.
    pub runs: Vec<PlayedRun>,
    /// How often the clock moved on although messages still waited, failed ones as a rule.
    pub restless: u32,
}

/// A run of a schedule while the clock was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayedRun {
    /// The function.
    pub function: String,
    /// The time it was due at.
    pub scheduled_time: DateTime<Utc>,
    /// Why it failed; none when it succeeded.
    pub error: Option<String>,
}

impl Sources {
    /// Moves the clock.
    ///
    /// # Errors
    /// When it would go back, names a function without a schedule, or is being moved by somebody else.
    pub(crate) async fn move_clock(&self, to: &ClockMove) -> anyhow::Result<ClockMoved> {
        let _only_mover = self
            .mover
            .try_lock()
            .map_err(|_| anyhow!("the clock is being moved; move it again when that is done"))?;
        // What runs just now comes to its end first.
        let _nothing_runs = self.timetable.moving.write().await;
        let context = &self.context;
        let entries = self.chosen(to.schedules.as_ref())?;
        let target = to.target(context.clock.now())?;
        let mut moved = Moving {
            sources: self,
            runs: Vec::new(),
            restless: 0,
        };
        match target {
            Some(target) => moved.play(&entries, target).await?,
            None => moved.show(None).await?,
        }
        self.timetable.restart_at(context.clock.now());
        Ok(ClockMoved {
            clock: context.clock.view(),
            runs: moved.runs,
            restless: moved.restless,
        })
    }

    fn chosen(&self, schedules: Option<&SchedulesToRun>) -> anyhow::Result<Vec<Arc<Entry>>> {
        let all = &self.timetable.entries;
        let chosen = match schedules {
            None if self.runs_schedules => all.clone(),
            None | Some(SchedulesToRun::All(false)) => Vec::new(),
            Some(SchedulesToRun::All(true)) => all.clone(),
            Some(SchedulesToRun::Of(functions)) => {
                let known: BTreeSet<&str> = all.iter().map(|entry| entry.function.as_str()).collect();
                for function in functions {
                    ensure!(
                        known.contains(function.as_str()),
                        "{function} has no schedule; those that have are {}",
                        Vec::from_iter(known).join(", ")
                    );
                }
                let is_chosen = |entry: &&Arc<Entry>| functions.contains(&entry.function);
                all.iter().filter(is_chosen).cloned().collect()
            }
        };
        if !self.runs_schedules {
            // Nobody has run them until now, and nobody has to make up for that.
            self.timetable.restart_at(self.context.clock.now());
        }
        Ok(chosen)
    }
}

struct Moving<'a> {
    sources: &'a Sources,
    runs: Vec<PlayedRun>,
    restless: u32,
}

impl Moving<'_> {
    /// Moves to a time, by way of the times of schedules.
    async fn play(&mut self, entries: &[Arc<Entry>], target: DateTime<Utc>) -> anyhow::Result<()> {
        self.rest().await?;
        let (frequent, daily): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.is_frequent());
        let next_of = |entry: &&Arc<Entry>| entry.next().filter(|next| *next <= target);
        while let Some(next) = daily.iter().copied().filter_map(|entry| next_of(&entry)).min() {
            self.show(Some(next)).await?;
            for entry in &frequent {
                if entry.rested_for_a_day(next) {
                    self.run(entry, next).await;
                }
            }
            for entry in daily.iter().filter(|entry| next_of(entry) == Some(next)) {
                self.run(entry, next).await;
            }
            self.rest().await?;
        }
        self.show(Some(target)).await?;
        for entry in &frequent {
            if next_of(entry).is_some() {
                self.run(entry, target).await;
            }
        }
        self.rest().await
    }

    /// Has everybody go by a time from now on, or by the machine's.
    async fn show(&self, time: Option<DateTime<Utc>>) -> anyhow::Result<()> {
        let context = &self.sources.context;
        // A clock that has gone on while something ran isn't put back.
        let time = time.map(|time| time.max(context.clock.now()));
        context.clock.set(time)?;
        context
            .runtime
            .set_environment_of_all(OFFSET_VARIABLE, &context.clock.variable());
        Ok(())
    }

    async fn run(&mut self, entry: &Entry, time: DateTime<Utc>) {
        let error = schedule::run(&self.sources.context, entry, time).await.err();
        entry.has_run(time);
        self.runs.push(PlayedRun {
            function: entry.function.clone(),
            scheduled_time: time,
            error,
        });
    }

    /// Waits until nothing is going on any more.
    async fn rest(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + REST_WITHIN;
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            if Instant::now() >= end {
                self.restless += 1;
                return Ok(());
            }
            quiet = if self.sources.is_quiet().await? {
                quiet + 1
            } else {
                0
            };
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

impl Sources {
    /// Whether no function runs, no message is on its way to one, and Stripe has nothing to tell.
    async fn is_quiet(&self) -> anyhow::Result<bool> {
        Ok(!self.context.stripe.webhooks_are_under_way() && self.at_work().await?.is_empty())
    }

    /// The functions that run and, while none does, the open queues that hold messages, by name.
    pub(crate) async fn at_work(&self) -> anyhow::Result<Vec<String>> {
        let context = &self.context;
        let running = context.runtime.at_work();
        if !running.is_empty() {
            return Ok(running);
        }
        let open = self.gates.iter().filter(|(_, gate)| !gate.is_paused());
        // Tables have gates, too; what is in their streams can't be counted.
        let queues = open.filter_map(|(name, _)| Some((name, context.queues.url(name).ok()?)));
        let queues: Vec<_> = queues.collect();
        let counts = try_join_all(queues.iter().map(|(_, url)| context.queues.count(url))).await?;
        let holding = queues.iter().zip(counts).filter(|(_, count)| *count > 0);
        let holding: Vec<String> = holding.map(|((name, _), _)| (*name).clone()).collect();
        // A function may have taken a message while the queues were asked.
        Ok(if holding.is_empty() {
            context.runtime.at_work()
        } else {
            holding
        })
    }
}
