//! The functions' output: the newest lines in memory, all of them in `.local/cloud/logs/OPERATION.log`.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write,
    path::PathBuf,
    sync::Mutex,
};

use serde::{Deserialize, Serialize};

use crate::util::lock;

/// How many lines of a function are kept in memory.
const MAX_LINES: usize = 2000;

/// A line that a function wrote, or the runtime about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts the lines of all functions together.
    pub sequence: u64,
    /// The operation.
    pub function: String,
    /// The line.
    pub line: String,
}

/// The lines of all functions.
pub(crate) struct Logs {
    directory: PathBuf,
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
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            state: Mutex::new(State::default()),
        }
    }

    pub(crate) fn write(&self, function: &str, line: &str) {
        let mut state = lock(&self.state);
        state.sequence += 1;
        let sequence = state.sequence;
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
        ring.lines.push_back(LogLine {
            sequence,
            function: function.to_owned(),
            line: line.to_owned(),
        });
        if let Some(file) = &mut ring.file {
            // A full disk must not stop the functions.
            let _ = writeln!(file, "{line}");
        }
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

    /// The lines after a sequence number, of one function or of all, in the order they were written.
    pub(crate) fn after(&self, function: Option<&str>, sequence: u64) -> Vec<LogLine> {
        let state = lock(&self.state);
        let mut lines: Vec<LogLine> = state
            .functions
            .iter()
            .filter(|(name, _)| function.is_none_or(|function| function == *name))
            .flat_map(|(_, ring)| &ring.lines)
            .filter(|line| line.sequence > sequence)
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
        let logs = Logs::new(directory.path().join("logs"));
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
        let last = logs.after(None, 0).pop().unwrap();
        assert_eq!((last.function.as_str(), last.line.as_str()), ("two", "other"));
        assert!(logs.after(Some("one"), last.sequence).is_empty());
    }
}
