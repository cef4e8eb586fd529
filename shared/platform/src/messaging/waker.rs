//! Waking a job by a message once there is something for it. That makes it fast, not sure: its schedule finds whatever a lost
//! wake-up left behind.

use std::time::Duration;

use crate::config::Environment;

const TIMEOUT: Duration = Duration::from_millis(500);

/// Wakes a job whose queue this is.
#[derive(Debug, Clone)]
pub struct Waker {
    queue_url: String,
    work: &'static str,
}

impl Waker {
    /// Reads how a queue is reached; `name` is written as in the variable `QUEUE_{name}_URL`: `OUTBOX_NUDGES`. `work` is what
    /// there is to do, for whoever looks at the messages.
    pub fn named(name: &'static str, work: &'static str) -> impl FnOnce(&mut Environment) -> Option<Self> {
        move |environment| {
            environment.ahead(async {
                crate::aws::sqs().await;
            });
            Some(Self {
                queue_url: environment.required(&format!("QUEUE_{name}_URL"))?,
                work,
            })
        }
    }

    /// Wakes it; a failure is logged and otherwise ignored.
    pub async fn wake(&self) {
        let sending = crate::aws::sqs()
            .await
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(format!(r#"{{"nudge":"{}"}}"#, self.work))
            .send();
        let work = self.work;
        // Boxed, as in `aws`.
        match tokio::time::timeout(TIMEOUT, Box::pin(sending)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(work, error = crate::error::chain(&error), "waking a job failed");
            }
            Err(_) => tracing::warn!(work, timeout_ms = TIMEOUT.as_millis(), "waking a job timed out"),
        }
    }
}
