//! Playing the points of a piece of work at which its function is killed.

use std::{io::Write, sync::Arc};

use anyhow::Context;
use end_to_end::{
    Fixture, Result,
    points::Points,
    wire::{Played, Wire},
};
use tokio::time::Instant;

/// What the function's process has before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It starts, and signs in to DriveWealth for all.
    First,
    /// It starts.
    Cold,
    /// It has served before.
    Warm,
}

impl Start {
    async fn prepare(self, fixture: &Fixture, function: &str) -> Result {
        if self != Self::Warm {
            fixture.cloud.kill(function).await?;
        }
        if self == Self::First {
            crate::sql(fixture, "DELETE FROM drivewealth_sessions").await?;
        }
        Ok(())
    }
}

/// A sample, what the work on it came to, and where the function was killed, if it was.
pub(crate) struct Run<S, T> {
    pub(crate) sample: S,
    pub(crate) outcome: T,
    pub(crate) killed: Option<String>,
}

impl<S, T> Run<S, T> {
    /// Where the function was killed, for a message.
    pub(crate) fn point(&self) -> &str {
        self.killed.as_deref().unwrap_or("nowhere")
    }
}

/// Kills the function at the points of its work, each time on a fresh sample; the work ends when it is done for good.
/// `check` looks at each run at once. A process that has served before does the same without its beginning.
pub(crate) async fn sweep<S, T>(
    fixture: &Arc<Fixture>,
    wire: &Wire,
    start: Start,
    prepare: impl AsyncFn() -> Result<S>,
    work: impl AsyncFn(&S) -> Result<T>,
    check: impl AsyncFn(&Run<S, T>) -> Result,
) -> Result<Vec<Run<S, T>>> {
    let function = wire.function();
    let begun = Instant::now();
    let mut points = Points::of_this_run();
    let mut runs = Vec::new();
    while let Some(step) = points.next_step().context(function)? {
        let sample = prepare().await?;
        start.prepare(fixture, function).await?;
        let (outcome, killed) = match wire.play(fixture, step, async { work(&sample).await }).await? {
            Played::Through { outcome, steps } => {
                points.went_through(steps);
                (outcome, None)
            }
            Played::Killed { point, outcome } => {
                points.was_killed();
                (outcome, Some(format!("{point} ({start:?})")))
            }
        };
        let run = Run {
            sample,
            outcome,
            killed,
        };
        check(&run).await?;
        runs.push(run);
    }
    report(function, start, &points, begun);
    Ok(runs)
}

/// As [`sweep`], on a wire of its own and without a look at each run; gives the samples.
pub(crate) async fn sweep_all<S>(
    fixture: &Arc<Fixture>,
    function: &'static str,
    start: Start,
    backends: &[&'static str],
    prepare: impl AsyncFn() -> Result<S>,
    work: impl AsyncFn(&S) -> Result,
) -> Result<Vec<S>> {
    let wire = Wire::attach(fixture, function, backends).await?;
    let runs = sweep(fixture, &wire, start, prepare, work, async |_| Ok(())).await?;
    wire.detach(fixture).await?;
    Ok(runs.into_iter().map(|run| run.sample).collect())
}

fn report(function: &str, start: Start, points: &Points, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f32();
    let killed = points.killed();
    // Whoever closes the output doesn't want to know.
    let _ = writeln!(
        std::io::stdout(),
        "  {function}: killed at {killed} points ({start:?}, {seconds:.1} s)"
    );
}
