//! What the command lines print: here and nowhere else.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line prints for the person who runs it"
)]

use std::time::{Duration, Instant};

/// Prints a line.
pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Prints a warning, or what went wrong.
pub fn warn(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Prints the steps of a start, each with the time it took.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    enabled: bool,
}

impl Progress {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    /// Says that something is ready.
    pub(crate) fn ready(self, begun: Instant, what: &str, detail: impl std::fmt::Display) {
        if self.enabled {
            say(format_args!(
                "  ready  {what:<22} {detail} ({})",
                in_words(begun.elapsed())
            ));
        }
    }

    /// Says something about the start.
    pub(crate) fn note(self, line: impl std::fmt::Display) {
        if self.enabled {
            say(format_args!("  {line}"));
        }
    }
}

/// A duration as people read it.
pub fn in_words(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds} ms"),
        milliseconds => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
    }
}
