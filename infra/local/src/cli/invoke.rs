//! `moneta invoke`, `moneta schedule` and `moneta token`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::{Client, TokenArguments, up};
use crate::{
    clock::LocalClock,
    keys::{LocalIssuer, TokenOptions},
    options::{DEFAULT_PORT, Options},
    progress::{in_words, say, warn},
    runtime::InvocationResult,
};

pub(super) async fn invoke(
    root: &Path,
    url: Option<&str>,
    operation: &str,
    event: Option<PathBuf>,
) -> anyhow::Result<bool> {
    let path = event.unwrap_or_else(|| root.join("events").join(format!("{operation}.json")));
    let event = read_event(&path)?;
    let client = match Client::find(root, url) {
        Ok(client) if url.is_some() || client.answers().await => Some(client),
        _ => None,
    };
    let result = match client {
        Some(client) => {
            warn(format_args!("Invoking {operation}"));
            client
                .post(&format!("/local/invoke/{operation}"), Some(&event))
                .await?
        }
        None => {
            let cloud = up::temporary(root).await?;
            let result = cloud.invoke(operation, event).await;
            for line in cloud.logs(operation) {
                warn(line);
            }
            cloud.stop().await;
            result?
        }
    };
    show(&result)
}

fn read_event(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the event {} can't be read", path.display()))?;
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_str(&text).with_context(|| format!("the event {} isn't JSON", path.display()))
}

pub(super) async fn schedule(
    client: &Client,
    operation: &str,
    input: Option<String>,
) -> anyhow::Result<bool> {
    let input: Option<Value> = input
        .map(|input| serde_json::from_str(&input))
        .transpose()
        .context("--input isn't JSON")?;
    warn(format_args!("Running {operation}"));
    show(
        &client
            .post(&format!("/local/schedules/{operation}"), input.as_ref())
            .await?,
    )
}

fn show(result: &InvocationResult) -> anyhow::Result<bool> {
    say(serde_json::to_string_pretty(&result.payload)?);
    let memory = result
        .memory_kib
        .map_or_else(String::new, |memory| format!(", {} MB", memory / 1024));
    let start = if result.cold { "cold" } else { "warm" };
    warn(format_args!(
        "{start} start, {}{memory}, request {}",
        in_words(result.duration),
        result.request_id
    ));
    if let Some(error) = &result.function_error {
        warn(format_args!("the function failed: {error}"));
    }
    Ok(result.function_error.is_none())
}

/// A token of the running local cloud, or of the key that the next one will use.
pub(super) async fn token(
    root: &Path,
    url: Option<&str>,
    arguments: &TokenArguments,
) -> anyhow::Result<bool> {
    let mut claims = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value);
        }
    };
    set("profile_id", arguments.profile_id.map(Value::from));
    set("user_id", arguments.user_id.clone().map(number_or_text));
    set(
        "wallet_client_id",
        arguments.wallet_client_id.clone().map(number_or_text),
    );
    set(
        "groups",
        (!arguments.groups.is_empty()).then(|| json!(arguments.groups)),
    );
    set("scope", arguments.scope.clone().map(Value::from));
    if url.is_some() {
        set("expires_in", Some(arguments.expires_in.into()));
        let answer: Value = Client::find(root, url)?
            .post("/local/tokens", Some(&claims.into()))
            .await?;
        say(answer.get("token").and_then(Value::as_str).unwrap_or_default());
        return Ok(true);
    }
    let Options { state, key_pairs, .. } = Options::for_development(root);
    let issuer =
        LocalIssuer::last_issuer(&state).unwrap_or_else(|| format!("http://127.0.0.1:{DEFAULT_PORT}"));
    let issuer = LocalIssuer::load_or_create(&key_pairs, &issuer, LocalClock::open(&state)?)?;
    let options = TokenOptions {
        expires_in_s: arguments.expires_in,
        ..TokenOptions::default()
    };
    say(issuer.mint(claims.into(), options)?);
    Ok(true)
}

fn number_or_text(text: String) -> Value {
    text.parse::<i64>()
        .map_or_else(|_| Value::String(text), Value::from)
}
