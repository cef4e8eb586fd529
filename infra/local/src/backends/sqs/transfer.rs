//! One message's way from a queue to another.

use anyhow::Context;
use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use uuid::Uuid;

/// The most messages of one receive.
const MAX_MESSAGES_PER_CALL: i32 = 10;

/// Receives what waits, with everything that is known of it, and hides it for so many seconds.
pub(crate) async fn receive(client: &Client, url: &str, hidden_s: i32) -> anyhow::Result<Vec<Message>> {
    let receive = client
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(MAX_MESSAGES_PER_CALL)
        .visibility_timeout(hidden_s)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All");
    Ok(receive.send().await?.messages.unwrap_or_default())
}

/// Sends a received message to another queue, then deletes it: in between it is in both, and never in none.
pub(crate) async fn move_message(
    client: &Client,
    from: &str,
    to: &str,
    message: Message,
) -> anyhow::Result<()> {
    let attributes = message.attributes.unwrap_or_default();
    let group = attributes.get(&MessageSystemAttributeName::MessageGroupId);
    let send = client
        .send_message()
        .queue_url(to)
        .set_message_body(message.body)
        .set_message_attributes(message.message_attributes)
        .set_message_group_id(group.cloned())
        // The first one was used within the last five minutes, perhaps, and would swallow this message.
        .set_message_deduplication_id(group.map(|_| Uuid::now_v7().to_string()));
    send.send().await.context("a message can't be sent back")?;
    delete(client, from, message.receipt_handle).await
}

pub(crate) async fn delete(client: &Client, url: &str, receipt_handle: Option<String>) -> anyhow::Result<()> {
    let delete = client.delete_message().queue_url(url);
    delete.set_receipt_handle(receipt_handle).send().await?;
    Ok(())
}

/// Lets others receive a message again.
pub(crate) async fn show_again(
    client: &Client,
    url: &str,
    receipt_handle: Option<String>,
) -> anyhow::Result<()> {
    let show = client
        .change_message_visibility()
        .queue_url(url)
        .visibility_timeout(0);
    show.set_receipt_handle(receipt_handle).send().await?;
    Ok(())
}

/// The name of the queue that a message was given up in; none for one that was sent to the dead-letter queue itself.
pub(crate) fn given_up_in(message: &Message) -> Option<&str> {
    let attributes = message.attributes.as_ref()?;
    let arn = attributes.get(&MessageSystemAttributeName::DeadLetterQueueSourceArn)?;
    arn.rsplit(':').next()
}

/// How many messages a queue has that wait, or are hidden for now: one whose time is over counts as hidden until the next
/// receive.
pub(crate) async fn count(client: &Client, url: &str) -> anyhow::Result<u64> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let attributes = client
        .get_queue_attributes()
        .queue_url(url)
        .set_attribute_names(Some(names.to_vec()));
    let attributes = attributes.send().await?.attributes.unwrap_or_default();
    let counts = names
        .iter()
        .filter_map(|name| attributes.get(name)?.parse::<u64>().ok());
    Ok(counts.sum())
}
