//! Rest: nothing runs, waits or moves any more, so that what a scenario changes for all reaches itself alone.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use crate::{Fixture, Result, eventually, fixture::RELAY};

/// Longer than a payment takes to its next status and a stream's poller waits before it looks again.
const UNCHANGED_FOR: Duration = Duration::from_millis(450);
const UNPUBLISHED: &str = "SELECT count(*) FROM outbox_messages WHERE published_at IS NULL";

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
        let busy = self.cloud.at_work().await?;
        // Without a count, which goes on for ever where a message comes back for ever: `eventually` gives up what stays the same.
        ensure!(busy.is_empty(), "still busy: {busy:?}");
        if self.publishes() {
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
        Ok(self.cloud.invocations())
    }

    /// Whether the outbox empties by itself.
    fn publishes(&self) -> bool {
        self.cloud.has_event_sources() && self.cloud.template().function(RELAY).is_some()
    }
}
