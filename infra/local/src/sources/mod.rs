//! The event sources besides HTTP: queues, the streams of tables, topics, and schedules.

pub(crate) mod clock;
mod filter;
mod gate;
mod kafka;
pub(crate) mod kept;
mod ordered;
mod outcome;
pub(crate) mod playing;
mod queue;
pub(crate) mod queues;
mod schedule;
mod stream;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::bail;
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

pub(crate) use self::schedule::input_of;
use self::{gate::Gate, queues::Queues, schedule::Timetable};
use crate::{
    clock::LocalClock,
    runtime::{InvocationResult, Runtime},
    sandboxes::StripeSandbox,
    template::{Event, Template},
    util::lock,
};

/// The parts that the sources work with.
pub(crate) struct Context {
    pub(crate) clock: LocalClock,
    /// Its webhooks are part of what goes on.
    pub(crate) stripe: StripeSandbox,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) queues: Queues,
    pub(crate) streams: aws_sdk_dynamodbstreams::Client,
    pub(crate) tables: aws_sdk_dynamodb::Client,
    /// Changes when there may be something in a table's stream.
    pub(crate) tables_answered: Option<watch::Receiver<()>>,
    pub(crate) kafka_brokers: String,
    /// A failed message comes back after this, instead of the queue's visibility timeout.
    pub(crate) redelivery_after: Option<Duration>,
    pub(crate) region: String,
    pub(crate) account: String,
    /// The most invocations of one function at the same time.
    pub(crate) max_instances: usize,
    /// Where the positions in streams are kept.
    pub(crate) state: PathBuf,
}

impl Context {
    async fn invoke(&self, function: &str, event: &Value) -> anyhow::Result<InvocationResult> {
        self.runtime.invoke(function, event).await
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }
}

/// The running sources.
pub(crate) struct Sources {
    gates: BTreeMap<String, Gate>,
    timetable: Arc<Timetable>,
    /// Held by whoever moves the clock.
    mover: tokio::sync::Mutex<()>,
    /// Whether schedules run by themselves.
    runs_schedules: bool,
    context: Arc<Context>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Sources {
    /// Starts the event sources and the schedules of the template.
    pub(crate) fn start(template: &Template, context: &Arc<Context>, events: bool, schedules: bool) -> Self {
        let mut gates = BTreeMap::new();
        let mut tasks = Vec::new();
        let timetable = Arc::new(Timetable::new(template, context.clock.now()));
        for function in &template.functions {
            for event in &function.events {
                match event {
                    Event::Queue(source) if events && source.enabled => {
                        let gate: &Gate = gates.entry(source.queue.clone()).or_default();
                        tasks.extend(queue::start(context, &function.binary, source, gate));
                    }
                    Event::Stream(source) if events && source.records.enabled => {
                        let gate: &Gate = gates.entry(source.table.clone()).or_default();
                        tasks.push(stream::start(context, &function.binary, source, gate));
                    }
                    Event::Kafka(source) if events && source.records.enabled => {
                        let gate: &Gate = gates.entry(source.topic.clone()).or_default();
                        tasks.push(kafka::start(context, &function.binary, source, gate));
                    }
                    _ => {}
                }
            }
        }
        if schedules {
            let start = |entry| schedule::start(context, &timetable, entry);
            tasks.extend(timetable.entries.iter().map(start));
        }
        Self {
            gates,
            timetable,
            mover: tokio::sync::Mutex::default(),
            runs_schedules: schedules,
            context: Arc::clone(context),
            tasks: Mutex::new(tasks),
        }
    }

    /// Holds back, or lets through, what a queue, a table's stream or a topic has for its functions.
    pub(crate) async fn pause(&self, source: &str, paused: bool) -> anyhow::Result<()> {
        let Some(gate) = self.gates.get(source) else {
            bail!("no event source is named {source}")
        };
        gate.pause(paused).await;
        Ok(())
    }

    /// The sources, and whether each is paused.
    pub(crate) fn status(&self) -> BTreeMap<String, bool> {
        self.gates
            .iter()
            .map(|(name, gate)| (name.clone(), gate.is_paused()))
            .collect()
    }

    pub(crate) fn stop(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop();
    }
}
