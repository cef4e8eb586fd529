//! `moneta queues`, `moneta logs` and `moneta trace`.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, LogArguments, QueueAction};
use crate::{
    progress::{say, warn},
    runtime::{LogLine, entry::Entry},
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
        QueueAction::Delete { name, message_id, .. } => {
            let path = match message_id {
                Some(id) => format!("/local/queues/{name}/messages/{id}"),
                None => format!("/local/queues/{name}/messages"),
            };
            let answer: Value = client.delete(&path).await?;
            say(format_args!(
                "{} messages deleted",
                answer.get("deleted").unwrap_or(&Value::Null)
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

pub(super) async fn logs(client: &Client, arguments: &LogArguments) -> anyhow::Result<bool> {
    let mut fixed = form_urlencoded::Serializer::new(String::new());
    if let Some(operation) = &arguments.operation {
        fixed.append_pair("function", operation);
    }
    if let Some(since) = arguments.since {
        fixed.append_pair("since", &since.to_rfc3339_opts(SecondsFormat::Millis, true));
    }
    if let Some(level) = arguments.level {
        fixed.append_pair("level", &format!("{level:?}").to_lowercase());
    }
    let fixed = fixed.finish();
    let mut after = 0;
    loop {
        let lines: Items<LogLine> = client.get(&format!("/local/logs?after={after}&{fixed}")).await?;
        for line in lines.items {
            after = after.max(line.sequence);
            show_line(&line, arguments.json)?;
        }
        if !arguments.follow {
            return Ok(true);
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

pub(super) async fn trace(client: &Client, correlation_id: &str, json: bool) -> anyhow::Result<bool> {
    let encoded: String = form_urlencoded::byte_serialize(correlation_id.as_bytes()).collect();
    let lines: Items<LogLine> = client.get(&format!("/local/traces/{encoded}")).await?;
    for line in &lines.items {
        show_line(line, json)?;
    }
    if lines.items.is_empty() {
        warn(format_args!(
            "no line of the newest ones has the correlation id {correlation_id}"
        ));
    }
    Ok(!lines.items.is_empty())
}

fn show_line(line: &LogLine, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let object = serde_json::from_str(&line.line).unwrap_or_else(|_| Value::String(line.line.clone()));
        say(json!({ "sequence": line.sequence, "at": line.at, "function": line.function, "line": object }));
    } else {
        say(Entry::read(line));
    }
    Ok(())
}

/// A time, or how long ago it was.
pub(super) fn parse_since(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let explain = || format!("{text} is neither a time like 2026-11-28T13:00:00Z nor 30s, 10m, 2h or 1d");
    let unit = text.chars().last().ok_or_else(explain)?;
    let number = text
        .strip_suffix(unit)
        .and_then(|number| number.parse::<i64>().ok());
    let number = number.filter(|number| *number >= 0).ok_or_else(explain)?;
    let ago = match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        _ => None,
    };
    ago.and_then(|ago| Utc::now().checked_sub_signed(ago))
        .ok_or_else(explain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_while_ago() {
        assert_eq!(
            parse_since("2026-11-28T13:00:00+01:00").unwrap(),
            "2026-11-28T12:00:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        let ago = Utc::now() - parse_since("10m").unwrap();
        assert!((ago - TimeDelta::minutes(10)).num_seconds().abs() < 5);
        for wrong in ["", "m", "10", "-5m", "10y", "yesterday", "9223372036854775807d"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }
}
