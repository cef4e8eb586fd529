//! After a payer's money is taken, a message wakes whoever brings it to the receiver. That makes it fast, not sure: the
//! schedule finds whatever a lost wake-up left behind.

use std::time::Duration;

use platform::config::{Environment, FromEnvironment};

const TIMEOUT: Duration = Duration::from_millis(500);
const BODY: &str = r#"{"nudge":"transfers"}"#;

/// Wakes the function that applies the orders of transfers.
#[derive(Debug, Clone)]
pub(crate) struct TransferWaker {
    queue_url: String,
}

impl FromEnvironment for TransferWaker {
    /// Reads `QUEUE_TRANSFER_NUDGES_URL`.
    fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            queue_url: environment.required("QUEUE_TRANSFER_NUDGES_URL")?,
        })
    }
}

impl TransferWaker {
    /// Wakes it; a failure is logged and otherwise ignored.
    pub(crate) async fn wake(&self) {
        let sending = platform::aws::sqs()
            .await
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(BODY)
            .send();
        // Boxed, as in the platform's `aws`.
        match tokio::time::timeout(TIMEOUT, Box::pin(sending)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    error = platform::error::chain(&error),
                    "waking the delivery of transfers failed"
                );
            }
            Err(_) => tracing::warn!(
                timeout_ms = TIMEOUT.as_millis(),
                "waking the delivery of transfers timed out"
            ),
        }
    }
}
