//! The clock: runs a function at the times of its schedule.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Context, clock::Expression};
use crate::template::Schedule;

const PAUSE_BEFORE_RETRY: Duration = Duration::from_secs(1);
/// Sleeping in short steps follows a laptop's clock through its own sleep.
const STEP: Duration = Duration::from_secs(30);

pub(super) fn start(context: &Arc<Context>, function: &str, schedule: &Schedule) -> JoinHandle<()> {
    let (context, function, schedule) = (Arc::clone(context), function.to_owned(), schedule.clone());
    tokio::spawn(async move {
        let Ok(expression) = Expression::parse(&schedule.expression, &schedule.timezone) else {
            return;
        };
        let mut last = Utc::now();
        while let Some(next) = expression.next_after(last) {
            sleep_until(next).await;
            run(&context, &function, &schedule, next).await;
            // Times that passed while the function ran are left out.
            last = next.max(Utc::now());
        }
    })
}

async fn sleep_until(time: DateTime<Utc>) {
    while let Ok(left) = (time - Utc::now()).to_std() {
        tokio::time::sleep(left.min(STEP)).await;
    }
}

async fn run(context: &Context, function: &str, schedule: &Schedule, time: DateTime<Utc>) {
    let input = input_of(schedule, time);
    for attempt in 0..=schedule.maximum_retries {
        let problem = match context.invoke(function, &input).await {
            Ok(result) => match result.function_error {
                None => return,
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
