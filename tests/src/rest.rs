//! Rest: nothing runs, waits or moves any more, so that what a scenario changes for all reaches itself alone.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use serde::Deserialize;
use tokio::time::sleep;

use crate::{Fixture, Result, eventually, fixture::RELAY};

/// Longer than a payment takes to its next status and a stream's poller waits before it looks again.
const UNCHANGED_FOR: Duration = Duration::from_millis(450);
const UNPUBLISHED: &str = "SELECT count(*) FROM outbox_messages WHERE published_at IS NULL";

/// What the local cloud tells of itself.
#[derive(Debug, Deserialize)]
struct Status {
    functions: Vec<Function>,
    /// Whether each is paused.
    event_sources: BTreeMap<String, bool>,
    queues: Vec<Queue>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    running: u64,
    invocations: u64,
}

#[derive(Debug, Deserialize)]
struct Queue {
    name: String,
    waiting: u64,
    in_flight: u64,
    delayed: u64,
}

impl Status {
    fn invocations(&self) -> u64 {
        self.functions.iter().map(|function| function.invocations).sum()
    }

    /// Whether the outbox empties by itself.
    fn publishes(&self) -> bool {
        !self.event_sources.is_empty() && self.functions.iter().any(|function| function.name == RELAY)
    }

    /// What is being worked on, or will be by itself.
    fn busy(&self) -> Vec<&str> {
        let running = self.functions.iter().filter(|function| function.running > 0);
        let read = |queue: &&Queue| self.event_sources.get(&queue.name) == Some(&false);
        let holding = |queue: &&Queue| queue.waiting + queue.in_flight + queue.delayed > 0;
        let waiting = self.queues.iter().filter(read).filter(holding);
        running
            .map(|function| function.name.as_str())
            .chain(waiting.map(|queue| queue.name.as_str()))
            .collect()
    }
}

impl Fixture {
    /// Waits until nothing runs, waits or moves any more.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn rest(&self) -> Result {
        eventually("the local cloud rests", async || {
            let before = self.at_rest().await?;
            sleep(UNCHANGED_FOR).await;
            let after = self.at_rest().await?;
            ensure!(before == after, "{} invocations since", after - before);
            Ok(())
        })
        .await
    }

    /// How many invocations there were, when there is nothing to do at present.
    async fn at_rest(&self) -> Result<u64> {
        self.cloud.drivewealth().flush_events().await;
        let answer = self.api(None)?.get("/local/status").await?.expect(200)?;
        let status: Status = serde_json::from_value(answer.body)?;
        let busy = status.busy();
        ensure!(busy.is_empty(), "still busy: {busy:?}");
        if status.publishes() {
            let unpublished: i64 = sqlx::query_scalar(UNPUBLISHED)
                .fetch_one(self.database.pool())
                .await?;
            if unpublished > 0 {
                self.relay_outbox().await?;
            }
            ensure!(
                unpublished == 0,
                "{unpublished} messages of the outbox were not published"
            );
        }
        Ok(status.invocations())
    }
}
