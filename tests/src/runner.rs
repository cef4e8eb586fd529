//! Runs the scenarios of an area against one local cloud and stops it when the last has ended, which libtest can't.

mod gate;
mod report;

use std::{pin::Pin, process::ExitCode, sync::Arc, time::Duration};

use anyhow::anyhow;
use chrono::Utc;
use libtest_mimic::{Arguments, Failed, Trial};
use local_cloud::Options;
use tokio::{
    runtime::{Builder, Runtime},
    sync::Mutex,
    time::Instant,
};

use self::{gate::Gate, report::Report};
use crate::{Fixture, Result};

/// A scenario that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(600);
const TIMEOUT_IN_SOAK: Duration = Duration::from_secs(3_600);
/// Scenarios at the same time: they wait more than they work.
const THREADS: usize = 4;

/// So many warnings are shown with a scenario that fails.
const MAX_WARNINGS: usize = 20;

type Steps = Box<dyn FnOnce(Arc<Fixture>) -> Pin<Box<dyn Future<Output = Result>>> + Send>;

/// Beside which others a scenario runs; also their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Company {
    /// Beside others, with customers of its own, and nothing changed that all share.
    Shared,
    /// Beside others for which, too, payments move and events are sent only when a scenario says so.
    ByHand,
    /// While no other runs, because it changes what all share: faults, the pace of the sandboxes, paused queues.
    Alone,
}

/// A scenario: a function of a running local cloud. It is made by [`scenarios!`](crate::scenarios).
pub struct Scenario {
    name: String,
    company: Company,
    steps: Steps,
}

impl Scenario {
    fn new<F, S>(module: &str, function: &str, company: Company, steps: S) -> Self
    where
        F: Future<Output = Result> + 'static,
        S: FnOnce(Arc<Fixture>) -> F + Send + 'static,
    {
        Self {
            name: name_of(module, function),
            company,
            steps: Box::new(move |fixture| Box::pin(steps(fixture))),
        }
    }

    /// A scenario that runs beside others: with customers of its own, and nothing changed that all share.
    pub fn shared<F, S>(module: &str, function: &str, steps: S) -> Self
    where
        F: Future<Output = Result> + 'static,
        S: FnOnce(Arc<Fixture>) -> F + Send + 'static,
    {
        Self::new(module, function, Company::Shared, steps)
    }

    /// A scenario that runs beside others while payments move, and events are sent, only when a scenario says so.
    pub fn by_hand<F, S>(module: &str, function: &str, steps: S) -> Self
    where
        F: Future<Output = Result> + 'static,
        S: FnOnce(Arc<Fixture>) -> F + Send + 'static,
    {
        Self::new(module, function, Company::ByHand, steps)
    }

    /// A scenario that runs while no other does: it changes what all share. Before and after it, there are no faults and
    /// payments move by themselves; the rest it puts back itself. It begins when nothing is left to be done of earlier
    /// scenarios.
    pub fn alone<F, S>(module: &str, function: &str, steps: S) -> Self
    where
        F: Future<Output = Result> + 'static,
        S: FnOnce(Arc<Fixture>) -> F + Send + 'static,
    {
        Self::new(module, function, Company::Alone, steps)
    }
}

/// The function's name below the modules of its test target.
fn name_of(module: &str, function: &str) -> String {
    match module.split_once("::") {
        Some((_, below)) => format!("{below}::{function}"),
        None => function.to_owned(),
    }
}

/// The scenarios of a file, by the names of their functions: `scenarios![one, alone(another), by_hand(a_third)]`.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident $(($inner:ident))?),+ $(,)?) => {
        vec![$($crate::scenario!($name $(($inner))?)),+]
    };
}

/// One scenario of [`scenarios!`].
#[doc(hidden)]
#[macro_export]
macro_rules! scenario {
    (alone($name:ident)) => {
        $crate::Scenario::alone(module_path!(), stringify!($name), $name)
    };
    (by_hand($name:ident)) => {
        $crate::Scenario::by_hand(module_path!(), stringify!($name), $name)
    };
    ($name:ident) => {
        $crate::Scenario::shared(module_path!(), stringify!($name), $name)
    };
}

/// Scenarios that share a local cloud.
pub struct Suite {
    name: &'static str,
    options: Options,
    scenarios: Vec<Scenario>,
}

impl Suite {
    /// The scenarios of these files on a local cloud with these options.
    pub fn new(name: &'static str, options: Options, files: impl IntoIterator<Item = Vec<Scenario>>) -> Self {
        Self {
            name,
            options,
            scenarios: files.into_iter().flatten().collect(),
        }
    }

    /// Without those of these names, each of which is there.
    ///
    /// # Panics
    /// When one isn't.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            let is_there = self.scenarios.iter().any(|scenario| scenario.name == *name);
            assert!(is_there, "{} has no scenario {name}", self.name);
        }
        self.scenarios
            .retain(|scenario| !names.contains(&scenario.name.as_str()));
        self
    }
}

/// The local cloud of a suite, started by its first scenario.
struct Stage {
    name: &'static str,
    options: Options,
    fixture: Mutex<Option<Result<Arc<Fixture>, String>>>,
    gate: Gate,
    report: Report,
}

impl Stage {
    async fn fixture(&self) -> Result<Arc<Fixture>> {
        let mut kept = self.fixture.lock().await;
        let started = match kept.take() {
            Some(started) => started,
            None => {
                let begun = Instant::now();
                let started = Fixture::start(self.options.clone()).await;
                self.report.started(begun.elapsed());
                started.map(Arc::new).map_err(|error| format!("{error:#}"))
            }
        };
        let started = kept.insert(started);
        started
            .clone()
            .map_err(|error| anyhow!("the local cloud for {} did not start: {error}", self.name))
    }

    async fn play(&self, scenario: Scenario) -> Result {
        let fixture = self.fixture().await?;
        let turn = self.gate.enter(scenario.company, &fixture).await?;
        let (begun, begun_at) = (Instant::now(), Utc::now());
        let outcome = bounded((scenario.steps)(Arc::clone(&fixture))).await;
        self.report
            .played(scenario.name, scenario.company, turn.waited, begun.elapsed());
        self.gate.leave(scenario.company, &fixture).await;
        outcome.map_err(|error| with_warnings(error, &fixture.cloud.warnings(begun_at)))
    }

    async fn stop(&self) {
        let kept = self.fixture.lock().await.take();
        if let Some(fixture) = kept.and_then(Result::ok).and_then(Arc::into_inner) {
            fixture.stop().await;
        }
    }
}

async fn bounded(steps: Pin<Box<dyn Future<Output = Result>>>) -> Result {
    let limit = if crate::is_soak() {
        TIMEOUT_IN_SOAK
    } else {
        TIMEOUT
    };
    match tokio::time::timeout(limit, steps).await {
        Ok(outcome) => outcome,
        Err(_) => Err(anyhow!("not finished after {} s", limit.as_secs())),
    }
}

/// The error with the last that functions have warned of while the scenario ran, be it on behalf of others beside it: what is an
/// answer 503 to a caller has its reason there.
fn with_warnings(error: anyhow::Error, warnings: &[String]) -> anyhow::Error {
    let last = warnings.split_at(warnings.len().saturating_sub(MAX_WARNINGS)).1;
    if last.is_empty() {
        return error;
    }
    anyhow!(
        "{}\nFunctions warned:\n  {}",
        described(&error),
        last.join("\n  ")
    )
}

/// An error with its causes, without a backtrace.
fn described(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  ")
}

/// Runs the scenarios of suites, one suite after the other, as `cargo test` runs tests, and says where the time went.
pub fn run_suites(suites: impl IntoIterator<Item = Suite>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let mut exit_code = ExitCode::SUCCESS;
    for suite in suites {
        let Ok(runtime) = Builder::new_multi_thread().enable_all().build() else {
            return ExitCode::FAILURE;
        };
        let conclusion = run_suite(&Arc::new(runtime), &arguments, suite);
        if conclusion.has_failed() {
            exit_code = ExitCode::from(101);
        }
    }
    exit_code
}

fn run_suite(runtime: &Arc<Runtime>, arguments: &Arguments, suite: Suite) -> libtest_mimic::Conclusion {
    let Suite {
        name,
        options,
        mut scenarios,
    } = suite;
    // Those of one company in a row: the others wait until the last of them has ended.
    scenarios.sort_by_key(|scenario| scenario.company);
    let stage = Arc::new(Stage {
        name,
        options,
        fixture: Mutex::new(None),
        gate: Gate::default(),
        report: Report::default(),
    });
    let trials = scenarios
        .into_iter()
        .map(|scenario| trial(runtime, &stage, scenario))
        .collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    runtime.block_on(stage.stop());
    stage.report.print(name);
    conclusion
}

fn trial(runtime: &Arc<Runtime>, stage: &Arc<Stage>, scenario: Scenario) -> Trial {
    let (runtime, stage) = (Arc::clone(runtime), Arc::clone(stage));
    Trial::test(scenario.name.clone(), move || {
        let outcome = runtime.block_on(stage.play(scenario));
        outcome.map_err(|error| Failed::from(described(&error)))
    })
}
