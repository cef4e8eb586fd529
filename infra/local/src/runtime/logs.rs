//! The functions' output: the newest lines in memory, all of them in `.local/cloud/logs/OPERATION.log`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::Write,
    path::PathBuf,
    sync::Mutex,
};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::entry::{Entry, Level, LogLine};
use crate::{progress::Console, util::lock};

/// How many lines of a function are kept in memory.
const MAX_LINES: usize = 2000;

/// Which lines are wanted.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct LogFilter {
    /// Those of one function.
    pub(crate) function: Option<String>,
    /// Those with a higher sequence number.
    #[serde(default)]
    pub(crate) after: u64,
    /// Those that were written then or later.
    pub(crate) since: Option<DateTime<Utc>>,
    /// Those that are at least as serious.
    pub(crate) level: Option<Level>,
}

/// The lines of all functions.
pub(crate) struct Logs {
    directory: PathBuf,
    console: Console,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sequence: u64,
    functions: BTreeMap<String, Ring>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    file: Option<std::fs::File>,
}

impl Logs {
    /// Lines go to files in the directory, errors to the console as well.
    pub(crate) fn new(directory: PathBuf, console: Console) -> Self {
        Self {
            directory,
            console,
            state: Mutex::new(State::default()),
        }
    }

    pub(crate) fn write(&self, function: &str, line: &str) {
        let mut state = lock(&self.state);
        state.sequence += 1;
        let line = LogLine {
            sequence: state.sequence,
            at: Utc::now(),
            function: function.to_owned(),
            line: line.to_owned(),
        };
        self.console.log(&line);
        let ring = state
            .functions
            .entry(function.to_owned())
            .or_insert_with(|| Ring {
                lines: VecDeque::new(),
                file: self.open(function),
            });
        if ring.lines.len() == MAX_LINES {
            ring.lines.pop_front();
        }
        if let Some(file) = &mut ring.file {
            // A full disk must not stop the functions.
            let _ = writeln!(file, "{}", line.line);
        }
        ring.lines.push_back(line);
    }

    fn open(&self, function: &str) -> Option<std::fs::File> {
        std::fs::create_dir_all(&self.directory).ok()?;
        let path = self.directory.join(format!("{function}.log"));
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .ok()
    }

    /// The lines of one function that are still in memory.
    pub(crate) fn lines(&self, function: &str) -> Vec<String> {
        let state = lock(&self.state);
        let ring = state.functions.get(function);
        ring.into_iter()
            .flat_map(|ring| &ring.lines)
            .map(|line| line.line.clone())
            .collect()
    }

    /// The lines that a filter lets through, in the order they were written.
    pub(crate) fn find(&self, filter: &LogFilter) -> Vec<LogLine> {
        let mut lines = self.all(filter.function.as_deref());
        lines.retain(|line| {
            line.sequence > filter.after
                && filter.since.is_none_or(|since| line.at >= since)
                && filter.level.is_none_or(|level| Entry::read(line).level >= level)
        });
        lines
    }

    /// The lines of all functions about a correlation id, by their time, with the reports of the invocations that wrote them.
    pub(crate) fn trace(&self, correlation_id: &str) -> Vec<LogLine> {
        let entries: Vec<(Entry, LogLine)> = self
            .all(None)
            .into_iter()
            .map(|line| (Entry::read(&line), line))
            .collect();
        let is_about = |entry: &Entry| entry.correlation_id.as_deref() == Some(correlation_id);
        let invocations: BTreeSet<String> = entries
            .iter()
            .filter(|(entry, _)| is_about(entry))
            .filter_map(|(entry, _)| entry.request_id.clone())
            .collect();
        let mut found: Vec<(Entry, LogLine)> = entries
            .into_iter()
            .filter(|(entry, _)| match &entry.correlation_id {
                Some(_) => is_about(entry),
                None => entry
                    .request_id
                    .as_ref()
                    .is_some_and(|id| invocations.contains(id)),
            })
            .collect();
        found.sort_by_key(|(entry, line)| (entry.at, line.sequence));
        found.into_iter().map(|(_, line)| line).collect()
    }

    fn all(&self, function: Option<&str>) -> Vec<LogLine> {
        let state = lock(&self.state);
        let mut lines: Vec<LogLine> = state
            .functions
            .iter()
            .filter(|(name, _)| function.is_none_or(|function| function == *name))
            .flat_map(|(_, ring)| &ring.lines)
            .cloned()
            .collect();
        lines.sort_by_key(|line| line.sequence);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_lines_in_memory_and_all_of_them_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::new(directory.path().join("logs"), Console::new(false));
        for number in 0..MAX_LINES + 5 {
            logs.write("one", &number.to_string());
        }
        logs.write("two", "other");
        let lines = logs.lines("one");
        assert_eq!(
            (lines.len(), lines.first().map(String::as_str)),
            (MAX_LINES, Some("5"))
        );
        let file = std::fs::read_to_string(directory.path().join("logs/one.log")).unwrap();
        assert_eq!(file.lines().count(), MAX_LINES + 5);
        let last = logs.find(&LogFilter::default()).pop().unwrap();
        assert_eq!((last.function.as_str(), last.line.as_str()), ("two", "other"));
        let later = LogFilter {
            after: last.sequence,
            ..LogFilter::default()
        };
        assert!(logs.find(&later).is_empty());
        let since = LogFilter {
            since: Some(Utc::now() + chrono::TimeDelta::seconds(1)),
            ..LogFilter::default()
        };
        assert!(logs.find(&since).is_empty());
    }

    fn line(time: &str, level: &str, message: &str, request: &str, correlation: &str) -> String {
        serde_json::json!({
            "timestamp": time, "level": level, "message": message,
            "span": { "request_id": request, "correlation_id": correlation },
        })
        .to_string()
    }

    #[test]
    fn a_trace_follows_one_id_through_all_functions_by_time() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned(), Console::new(false));
        logs.write(
            "consumer",
            &line("2026-11-28T13:00:02Z", "INFO", "second", "b", "mine"),
        );
        logs.write("api", &line("2026-11-28T13:00:01Z", "WARN", "first", "a", "mine"));
        logs.write(
            "api",
            &line("2026-11-28T13:00:01Z", "INFO", "other", "x", "somebody else's"),
        );
        for (function, request, time) in [
            ("api", "a", "01.5"),
            ("api", "x", "01.6"),
            ("consumer", "b", "03"),
        ] {
            let report = serde_json::json!({
                "type": "platform.report", "time": format!("2026-11-28T13:00:{time}Z"), "request_id": request,
            });
            logs.write(function, &report.to_string());
        }
        let requests: Vec<_> = logs
            .trace("mine")
            .iter()
            .map(|line| (line.function.clone(), Entry::read(line).request_id.unwrap()))
            .collect();
        let expected = [("api", "a"), ("api", "a"), ("consumer", "b"), ("consumer", "b")]
            .map(|(function, request)| (function.to_owned(), request.to_owned()));
        assert_eq!(requests, expected);
        assert!(logs.trace("nobody's").is_empty());

        let serious = LogFilter {
            level: Some(Level::Warn),
            ..LogFilter::default()
        };
        assert_eq!(logs.find(&serious).len(), 1);
    }
}
