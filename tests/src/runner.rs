//! Runs the scenarios of a file against one local cloud and stops it when the last has ended, which libtest can't.

use std::{pin::Pin, process::ExitCode, sync::Arc, time::Duration};

use anyhow::anyhow;
use libtest_mimic::{Arguments, Failed, Trial};
use local_cloud::Options;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Mutex, RwLock},
};

use crate::{Fixture, Result};

/// A scenario that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(240);

type Steps = Box<dyn FnOnce(Arc<Fixture>) -> Pin<Box<dyn Future<Output = Result>>> + Send>;

/// A scenario.
pub struct Scenario {
    name: &'static str,
    alone: bool,
    steps: Steps,
}

impl Scenario {
    /// A scenario that runs beside others: with customers of its own, and nothing changed that all share.
    pub fn new<F, S>(name: &'static str, steps: S) -> Self
    where
        F: Future<Output = Result> + 'static,
        S: FnOnce(Arc<Fixture>) -> F + Send + 'static,
    {
        Self {
            name,
            alone: false,
            steps: Box::new(move |fixture| Box::pin(steps(fixture))),
        }
    }

    /// A scenario that runs while no other does: it changes what all share (faults, the pace of the sandboxes, paused
    /// queues). Before and after it, there are no faults and payments move by themselves; the rest it puts back itself.
    /// It begins when nothing is left to be done of earlier scenarios.
    pub fn alone<F, S>(name: &'static str, steps: S) -> Self
    where
        F: Future<Output = Result> + 'static,
        S: FnOnce(Arc<Fixture>) -> F + Send + 'static,
    {
        Self {
            alone: true,
            ..Self::new(name, steps)
        }
    }
}

/// The local cloud that all scenarios of a file share, started by the first.
struct Shared {
    name: &'static str,
    options: Options,
    fixture: Mutex<Option<Result<Arc<Fixture>, String>>>,
    turn: RwLock<()>,
}

impl Shared {
    async fn fixture(&self) -> Result<Arc<Fixture>> {
        let mut kept = self.fixture.lock().await;
        let started = match kept.take() {
            Some(started) => started,
            None => Fixture::start(self.options.clone())
                .await
                .map(Arc::new)
                .map_err(|error| format!("{error:#}")),
        };
        let started = kept.insert(started);
        started
            .clone()
            .map_err(|error| anyhow!("the local cloud for {} did not start: {error}", self.name))
    }

    async fn play(&self, scenario: Scenario) -> Result {
        let fixture = self.fixture().await?;
        if !scenario.alone {
            let _turn = self.turn.read().await;
            return bounded((scenario.steps)(fixture)).await;
        }
        let _turn = self.turn.write().await;
        fixture.put_back();
        // What earlier scenarios left to be done would meet the faults of this one.
        fixture.rest().await?;
        let outcome = bounded((scenario.steps)(Arc::clone(&fixture))).await;
        fixture.put_back();
        outcome
    }

    async fn stop(&self) {
        let kept = self.fixture.lock().await.take();
        if let Some(fixture) = kept.and_then(Result::ok).and_then(Arc::into_inner) {
            fixture.stop().await;
        }
    }
}

async fn bounded(steps: Pin<Box<dyn Future<Output = Result>>>) -> Result {
    match tokio::time::timeout(LIMIT, steps).await {
        Ok(outcome) => outcome,
        Err(_) => Err(anyhow!("not finished after {} s", LIMIT.as_secs())),
    }
}

/// An error with its causes, without a backtrace.
fn told(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  ")
}

/// Runs the scenarios on a local cloud with these options, as `cargo test` runs tests, and stops it.
pub fn run_scenarios(name: &'static str, options: Options, scenarios: Vec<Scenario>) -> ExitCode {
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => Arc::new(runtime),
        Err(_) => return ExitCode::FAILURE,
    };
    let shared = Arc::new(Shared {
        name,
        options,
        fixture: Mutex::new(None),
        turn: RwLock::new(()),
    });
    let trials = scenarios
        .into_iter()
        .map(|scenario| trial(&runtime, &shared, scenario))
        .collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    runtime.block_on(shared.stop());
    conclusion.exit_code()
}

fn trial(runtime: &Arc<Runtime>, shared: &Arc<Shared>, scenario: Scenario) -> Trial {
    let (runtime, shared) = (Arc::clone(runtime), Arc::clone(shared));
    Trial::test(scenario.name, move || {
        let outcome = runtime.block_on(shared.play(scenario));
        outcome.map_err(|error| Failed::from(told(&error)))
    })
}
