//! What is put into a queue, and what is in one.

use anyhow::ensure;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use uuid::Uuid;

use crate::{Fixture, Result, eventually};

impl Fixture {
    /// Sends a message to a queue.
    ///
    /// # Errors
    /// When it can't be sent.
    pub async fn send(&self, queue: &str, body: &str) -> Result {
        let url = self.cloud.queue_url(queue)?;
        let send = self.cloud.sqs().send_message().queue_url(url).message_body(body);
        send.send().await?;
        Ok(())
    }

    /// Sends a message of a group to a FIFO queue.
    ///
    /// # Errors
    /// When it can't be sent.
    pub async fn send_in_group(&self, queue: &str, group: &str, body: &str) -> Result {
        let url = self.cloud.queue_url(queue)?;
        let send = self.cloud.sqs().send_message().queue_url(url).message_body(body);
        let id = Uuid::now_v7().to_string();
        send.message_group_id(group)
            .message_deduplication_id(id)
            .send()
            .await?;
        Ok(())
    }

    /// How many messages a queue holds, waiting or being worked on.
    ///
    /// # Errors
    /// When the queue doesn't answer.
    pub async fn held_by(&self, queue: &str) -> Result<u64> {
        let url = self.cloud.queue_url(queue)?;
        let ask = self.cloud.sqs().get_queue_attributes().queue_url(url);
        let answer = ask.attribute_names(QueueAttributeName::All).send().await?;
        let attributes = answer.attributes.unwrap_or_default();
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let number = |name| attributes.get(name).and_then(|text| text.parse::<u64>().ok());
        Ok(names.iter().filter_map(number).sum())
    }

    /// Waits until a queue holds this many messages.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn queue_reaches(&self, queue: &str, count: u64) -> Result {
        eventually(&format!("{queue} holds {count} messages"), async || {
            let held = self.held_by(queue).await?;
            ensure!(held == count, "{queue} holds {held}");
            Ok(())
        })
        .await
    }

    /// The bodies of the messages that wait in a queue; looking counts as a receive.
    ///
    /// # Errors
    /// When the queue doesn't answer.
    pub async fn waiting_in(&self, queue: &str) -> Result<Vec<Value>> {
        let answer = self
            .api(None)?
            .get(&format!("/local/queues/{queue}/messages"))
            .await?;
        let items = answer.expect(200)?.body["items"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        Ok(items.iter().map(|message| message["body"].clone()).collect())
    }
}
