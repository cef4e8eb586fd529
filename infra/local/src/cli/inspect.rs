//! `moneta queues` and `moneta logs`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Client, QueueAction};
use crate::{
    progress::say,
    runtime::LogLine,
    sources::queues::{QueueStatus, SeenMessage},
};

const FOLLOW_EVERY: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

pub(super) async fn queues(client: &Client, action: &QueueAction) -> anyhow::Result<bool> {
    match action {
        QueueAction::List => list(client).await?,
        QueueAction::Peek { name } => peek(client, name).await?,
        QueueAction::Redrive { name } => {
            let answer: Value = client
                .post(&format!("/local/queues/{name}/redrive"), None)
                .await?;
            say(format_args!(
                "{} messages sent back",
                answer.get("moved").unwrap_or(&Value::Null)
            ));
        }
    }
    Ok(true)
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let queues: Items<QueueStatus> = client.get("/local/queues").await?;
    let width = queues
        .items
        .iter()
        .map(|queue| queue.name.len())
        .max()
        .unwrap_or_default();
    say(format_args!(
        "{:<width$}  {:>7}  {:>9}  {:>7}",
        "QUEUE", "WAITING", "IN FLIGHT", "DELAYED"
    ));
    for queue in queues.items {
        let (waiting, in_flight, delayed) = (queue.waiting, queue.in_flight, queue.delayed);
        say(format_args!(
            "{:<width$}  {waiting:>7}  {in_flight:>9}  {delayed:>7}",
            queue.name
        ));
    }
    Ok(())
}

async fn peek(client: &Client, name: &str) -> anyhow::Result<()> {
    let messages: Items<SeenMessage> = client.get(&format!("/local/queues/{name}/messages")).await?;
    if messages.items.is_empty() {
        say("No message waits");
    }
    for message in messages.items {
        let receives = message
            .attributes
            .get("ApproximateReceiveCount")
            .map_or("?", String::as_str);
        say(format_args!("{}  received {receives} times", message.message_id));
        say(serde_json::to_string_pretty(&message.body)?);
    }
    Ok(())
}

pub(super) async fn logs(client: &Client, operation: Option<&str>, follow: bool) -> anyhow::Result<bool> {
    let function = operation.map_or_else(String::new, |operation| format!("&function={operation}"));
    let mut after = 0;
    loop {
        let lines: Items<LogLine> = client
            .get(&format!("/local/logs?after={after}{function}"))
            .await?;
        for line in lines.items {
            after = after.max(line.sequence);
            match operation {
                Some(_) => say(line.line),
                None => say(format_args!("{:<24} {}", line.function, line.line)),
            }
        }
        if !follow {
            return Ok(true);
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}
