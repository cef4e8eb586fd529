//! Schedules: runs functions at the times of the template, by the local cloud's clock, and while that is moved.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Context, clock::Expression};
use crate::template::{Event, Schedule, Template};
use crate::util::lock;

const PAUSE_BEFORE_RETRY: Duration = Duration::from_secs(1);
/// Sleeping in short steps follows a laptop's clock through its own sleep, and the local cloud's when it is moved.
const STEP: Duration = Duration::from_secs(30);

/// A schedule of the template, and how far it has come.
pub(super) struct Entry {
    pub(super) function: String,
    schedule: Schedule,
    expression: Expression,
    /// The time up to which it has run.
    last: Mutex<DateTime<Utc>>,
}

/// All schedules that are enabled.
pub(super) struct Timetable {
    pub(super) entries: Vec<Arc<Entry>>,
    /// Held by whoever moves the clock and runs what is passed; the others share it while they run something.
    pub(super) moving: RwLock<()>,
}

impl Timetable {
    /// The schedules of the template, from a time on.
    pub(super) fn new(template: &Template, from: DateTime<Utc>) -> Self {
        let mut entries = Vec::new();
        for function in &template.functions {
            for event in &function.events {
                if let Event::Schedule(schedule) = event
                    && schedule.enabled
                    && let Ok(expression) = Expression::parse(&schedule.expression, &schedule.timezone)
                {
                    entries.push(Arc::new(Entry {
                        function: function.binary.clone(),
                        schedule: schedule.clone(),
                        expression,
                        last: Mutex::new(from),
                    }));
                }
            }
        }
        Self {
            entries,
            moving: RwLock::new(()),
        }
    }

    /// Nothing before this time is run any more, and everything after it is.
    pub(super) fn restart_at(&self, time: DateTime<Utc>) {
        for entry in &self.entries {
            entry.has_run(time);
        }
    }
}

impl Entry {
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.expression.next_after(*lock(&self.last))
    }

    pub(super) fn has_run(&self, time: DateTime<Utc>) {
        *lock(&self.last) = time;
    }

    /// Whether it runs every few minutes or hours, for whatever has come meanwhile.
    pub(super) fn is_frequent(&self) -> bool {
        matches!(self.expression, Expression::Rate(rate) if rate < Duration::from_secs(24 * 60 * 60))
    }

    /// Whether a day is over since it has run.
    pub(super) fn rested_for_a_day(&self, now: DateTime<Utc>) -> bool {
        now - *lock(&self.last) >= TimeDelta::days(1)
    }
}

/// Runs a schedule at its times for as long as the task lives.
pub(super) fn start(
    context: &Arc<Context>,
    timetable: &Arc<Timetable>,
    entry: &Arc<Entry>,
) -> JoinHandle<()> {
    let (context, timetable, entry) = (Arc::clone(context), Arc::clone(timetable), Arc::clone(entry));
    tokio::spawn(async move {
        while let Some(next) = entry.next() {
            if let Ok(left) = (next - context.clock.now()).to_std() {
                tokio::time::sleep(left.min(STEP)).await;
                continue;
            }
            let _not_moving = timetable.moving.read().await;
            // Whoever has moved the clock meanwhile has run it.
            if entry.next() == Some(next) {
                // What comes of it, retries included, is in the log.
                let _ = run(&context, &entry, next).await;
                // Times that passed while the function ran are left out.
                entry.has_run(next.max(context.clock.now()));
            }
        }
    })
}

/// Runs a schedule as of a time, with its retries; gives why it failed.
pub(super) async fn run(context: &Context, entry: &Entry, time: DateTime<Utc>) -> Result<(), String> {
    let Entry {
        function, schedule, ..
    } = entry;
    let input = input_of(schedule, time);
    let mut last_problem = String::new();
    for attempt in 0..=schedule.maximum_retries {
        let problem = match context.invoke(function, &input).await {
            Ok(result) => match result.function_error {
                None => return Ok(()),
                Some(error) => error,
            },
            Err(error) => format!("{error:#}"),
        };
        tracing::warn!(
            schedule = schedule.name,
            function,
            attempt,
            "a scheduled run failed: {problem}"
        );
        last_problem = problem;
        tokio::time::sleep(PAUSE_BEFORE_RETRY).await;
    }
    if let Some(queue) = &schedule.dead_letter_queue
        && let Err(error) = context.queues.send(queue, &input.to_string()).await
    {
        tracing::warn!(
            schedule = schedule.name,
            "sending the failed run to {queue} failed: {error:#}"
        );
    }
    Err(last_problem)
}

/// The event that a run of the schedule gives its function.
pub(crate) fn input_of(schedule: &Schedule, time: DateTime<Utc>) -> Value {
    let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
    match &schedule.input {
        Some(input) => {
            let filled = input.to_string().replace("<aws.scheduler.scheduled-time>", &time);
            serde_json::from_str(&filled).unwrap_or_else(|_| input.clone())
        }
        None => json!({
            "version": "0",
            "id": Uuid::now_v7().to_string(),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": "000000000000",
            "time": time,
            "region": crate::backends::region(),
            "resources": [format!("arn:aws:scheduler:{}:000000000000:schedule/default/{}", crate::backends::region(), schedule.name)],
            "detail": "{}",
        }),
    }
}
