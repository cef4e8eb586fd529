//! The running parts: the template, its functions with their event sources, and the issuer of tokens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use crate::{
    clock::{ClockMove, LocalClock},
    graphql::Graphql,
    keys::{LocalIssuer, TokenOptions},
    options::Options,
    progress::Console,
    runtime::{InvocationResult, Logs, Runtime},
    sources::{self, Sources, playing::ClockMoved, queues::Queues},
    template::{Event, Schedule, Template},
};

/// The function that brings the database up to date.
const MIGRATE: &str = "migrate";
/// How many log lines an error shows.
const MAX_LINES_SHOWN: usize = 10;

/// The parts of a running local cloud that its own HTTP routes and its handle work with.
pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) options: Options,
    pub(crate) clock: LocalClock,
    pub(crate) template: Template,
    pub(crate) issuer: LocalIssuer,
    /// The app's API, where the template has one.
    pub(crate) graphql: Option<Graphql>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) queues: Queues,
    pub(crate) logs: Arc<Logs>,
    pub(crate) console: Console,
    /// The addresses of the backends and sandboxes, to show.
    pub(crate) addresses: BTreeMap<String, String>,
    /// The event sources, once they run.
    pub(crate) sources: Mutex<Option<Arc<Sources>>>,
}

impl Running {
    /// A token with these claims; `expires_in` among them is its lifetime in seconds.
    pub(crate) fn mint(&self, mut claims: Value) -> anyhow::Result<String> {
        let mut options = TokenOptions::default();
        if let Some(seconds) = claims
            .as_object_mut()
            .and_then(|claims| claims.remove("expires_in"))
        {
            options.expires_in_s = seconds
                .as_i64()
                .ok_or_else(|| anyhow!("expires_in is a number of seconds, not {seconds}"))?;
        }
        self.issuer.mint(claims, options)
    }

    pub(crate) async fn run_schedule(
        &self,
        function: &str,
        input: Option<Value>,
    ) -> anyhow::Result<InvocationResult> {
        let input = match input {
            Some(input) => input,
            None => {
                let schedule = self.schedules(function).next();
                let schedule = schedule.ok_or_else(|| anyhow!("{function} has no schedule"))?;
                sources::input_of(schedule, self.clock.now())
            }
        };
        self.runtime.invoke(function, &input).await
    }

    pub(crate) fn schedules(&self, function: &str) -> impl Iterator<Item = &Schedule> {
        let events = self
            .template
            .function(function)
            .into_iter()
            .flat_map(|function| &function.events);
        events.filter_map(|event| match event {
            Event::Schedule(schedule) => Some(schedule),
            _ => None,
        })
    }

    /// The sources, once they run.
    pub(crate) fn sources(&self) -> Option<Arc<Sources>> {
        crate::util::lock(&self.sources).clone()
    }

    /// Moves the clock, and runs the schedules whose times are passed.
    pub(crate) async fn move_clock(&self, to: &ClockMove) -> anyhow::Result<ClockMoved> {
        let sources = self.sources();
        let sources = sources
            .ok_or_else(|| anyhow!("the local cloud is starting or stopping; its clock isn't moved"))?;
        sources.move_clock(to).await
    }

    /// Whether the template has the function that brings the database up to date.
    pub(crate) fn migrates(&self) -> bool {
        self.template.function(MIGRATE).is_some()
    }

    /// Brings the database up to date.
    pub(crate) async fn migrate(&self) -> anyhow::Result<()> {
        let result = self.runtime.invoke(MIGRATE, &json!({})).await?;
        let Some(error) = result.function_error else {
            return Ok(());
        };
        let lines = self.logs.lines(MIGRATE);
        let shown = lines
            .iter()
            .rev()
            .take(MAX_LINES_SHOWN)
            .rev()
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        bail!("the database can't be brought up to date: {error}\n{shown}")
    }
}
