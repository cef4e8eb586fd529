//! A line of a function's log as people read it.
//!
//! Functions write one JSON object a line, with the ids of the work in hand in its `span`; the runtime adds a report of
//! each invocation. Anything else, a panic's text for instance, is shown as it is.

use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For somebody who looks for a fault.
    Trace,
    /// For somebody who develops.
    Debug,
    /// What happens.
    Info,
    /// What went wrong and was coped with.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        clap::ValueEnum::from_str(text, true).ok()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// A line that a function wrote, or the runtime about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts the lines of all functions together.
    pub sequence: u64,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The operation.
    pub function: String,
    /// The line.
    pub line: String,
}

/// What a line says.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: DateTime<Utc>,
    pub(crate) level: Level,
    pub(crate) correlation_id: Option<String>,
    pub(crate) request_id: Option<String>,
    function: String,
    message: String,
    fields: Vec<(String, String)>,
}

/// Fields with a place of their own in the line, or that say nothing more.
const SHOWN_ELSEWHERE: [&str; 10] = [
    "timestamp",
    "time",
    "level",
    "message",
    "span",
    "type",
    "function",
    "name",
    "target",
    "start",
];

impl Entry {
    pub(crate) fn read(line: &LogLine) -> Self {
        match serde_json::from_str::<Map<String, Value>>(&line.line) {
            Ok(object) if is_report(&object) => Self::of_report(line, &object),
            Ok(object) => Self::of_object(line, &object),
            Err(_) => Self {
                message: line.line.clone(),
                ..Self::bare(line)
            },
        }
    }

    fn bare(line: &LogLine) -> Self {
        Self {
            at: line.at,
            level: Level::Info,
            correlation_id: None,
            request_id: None,
            function: line.function.clone(),
            message: String::new(),
            fields: Vec::new(),
        }
    }

    fn of_object(line: &LogLine, object: &Map<String, Value>) -> Self {
        let none = Map::new();
        let span = object.get("span").and_then(Value::as_object).unwrap_or(&none);
        let find = |name: &str| object.get(name).or_else(|| span.get(name)).map(text);
        let shown = |(name, value): (&String, &Value)| {
            let elsewhere = SHOWN_ELSEWHERE.contains(&name.as_str());
            (!elsewhere && !value.is_null()).then(|| (name.clone(), text(value)))
        };
        Self {
            at: time(object).unwrap_or(line.at),
            level: find("level")
                .and_then(|level| Level::parse(&level))
                .unwrap_or(Level::Info),
            correlation_id: find("correlation_id"),
            request_id: find("request_id"),
            message: find("message").unwrap_or_default(),
            fields: object.iter().chain(span).filter_map(shown).collect(),
            ..Self::bare(line)
        }
    }

    fn of_report(line: &LogLine, object: &Map<String, Value>) -> Self {
        let number = |name: &str| object.get(name).and_then(Value::as_u64).unwrap_or_default();
        let start = object.get("start").and_then(Value::as_str).unwrap_or_default();
        let error = object.get("error").and_then(Value::as_str);
        let (took, memory) = (number("duration_ms"), number("memory_kib") / 1024);
        let message = match error {
            None => format!("done in {took} ms ({start} start, {memory} MB)"),
            Some(error) => format!("failed after {took} ms: {error}"),
        };
        let request_id = object.get("request_id").map(text);
        Self {
            at: time(object).unwrap_or(line.at),
            level: if error.is_some() {
                Level::Error
            } else {
                Level::Info
            },
            message,
            fields: request_id
                .iter()
                .map(|id| ("request_id".to_owned(), id.clone()))
                .collect(),
            request_id,
            ..Self::bare(line)
        }
    }
}

impl Display for Entry {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {:<5} {:<26} {}",
            self.at.format("%H:%M:%S%.3f"),
            self.level.name(),
            self.function,
            printable(&self.message)
        )?;
        for (name, value) in &self.fields {
            let value = printable(value);
            match value.is_empty() || value.contains([' ', '"', '=']) {
                true => write!(formatter, "  {name}={value:?}")?,
                false => write!(formatter, "  {name}={value}")?,
            }
        }
        Ok(())
    }
}

fn is_report(object: &Map<String, Value>) -> bool {
    object.get("type").is_some_and(|kind| kind == "platform.report")
}

fn time(object: &Map<String, Value>) -> Option<DateTime<Utc>> {
    let time = object.get("timestamp").or_else(|| object.get("time"))?;
    let time = DateTime::parse_from_rfc3339(time.as_str()?).ok()?;
    Some(time.to_utc())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// On one line, and without anything that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let show = |character: char| match character {
        '\n' => "⏎".to_owned(),
        character if character.is_control() => " ".to_owned(),
        character => character.to_string(),
    };
    text.trim_end().chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(line: &str) -> String {
        let line = LogLine {
            sequence: 1,
            at: "2026-11-28T13:16:41.5Z".parse().unwrap(),
            function: "deposit_funds".to_owned(),
            line: line.to_owned(),
        };
        Entry::read(&line).to_string()
    }

    #[test]
    fn a_functions_line_shows_its_time_level_message_and_fields() {
        let line = json!({
            "timestamp": "2026-11-28T13:16:41.415971Z",
            "level": "WARN",
            "message": "the broker declined",
            "amount_cents": 25_000,
            "reason": "no money",
            "span": { "function": "deposit_funds", "name": "invocation", "request_id": "r", "correlation_id": "c" },
        });
        assert_eq!(
            shown(&line.to_string()),
            "13:16:41.415 WARN  deposit_funds              the broker declined  amount_cents=25000  \
             reason=\"no money\"  correlation_id=c  request_id=r"
        );
    }

    #[test]
    fn a_report_says_how_long_it_took_or_why_it_failed() {
        let report = |error: Option<&str>| {
            json!({
                "type": "platform.report", "time": "2026-11-28T13:16:41.415Z", "function": "deposit_funds",
                "request_id": "r", "start": "cold", "duration_ms": 34, "memory_kib": 20_480, "error": error,
            })
            .to_string()
        };
        assert_eq!(
            shown(&report(None)),
            "13:16:41.415 INFO  deposit_funds              done in 34 ms (cold start, 20 MB)  request_id=r"
        );
        assert_eq!(
            shown(&report(Some("Runtime.ExitError: the process ended"))),
            "13:16:41.415 ERROR deposit_funds              failed after 34 ms: Runtime.ExitError: the process ended  \
             request_id=r"
        );
    }

    #[test]
    fn other_text_stays_on_one_line_and_commands_no_terminal() {
        assert_eq!(
            shown("thread panicked\nhere \u{1b}[31m"),
            "13:16:41.500 INFO  deposit_funds              thread panicked⏎here  [31m"
        );
    }
}
