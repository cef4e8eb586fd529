//! After a commit that wrote to the outbox, a message wakes the relay at once. That makes publishing fast, not sure: the
//! relay's schedule finds whatever a lost wake-up left behind.

use std::time::Duration;

use crate::config::{Environment, FromEnvironment};

const TIMEOUT: Duration = Duration::from_millis(500);
const BODY: &str = r#"{"nudge":"outbox"}"#;

/// Wakes the outbox relay.
#[derive(Debug, Clone)]
pub struct RelayWaker {
    queue_url: String,
}

impl FromEnvironment for RelayWaker {
    /// Reads `QUEUE_OUTBOX_NUDGES_URL`.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.ahead(async {
            crate::aws::sqs().await;
        });
        Some(Self {
            queue_url: environment.required("QUEUE_OUTBOX_NUDGES_URL")?,
        })
    }
}

impl RelayWaker {
    /// Wakes the relay; a failure is logged and otherwise ignored.
    pub async fn wake(&self) {
        let sending = crate::aws::sqs()
            .await
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(BODY)
            .send();
        // Boxed, as in `aws`.
        match tokio::time::timeout(TIMEOUT, Box::pin(sending)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(error = crate::error::chain(&error), "waking the relay failed"),
            Err(_) => tracing::warn!(timeout_ms = TIMEOUT.as_millis(), "waking the relay timed out"),
        }
    }
}
