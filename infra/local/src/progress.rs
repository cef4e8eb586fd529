//! What the command lines print: here and nowhere else.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line prints for the person who runs it"
)]

use std::{
    fmt::{self, Display, Formatter},
    time::{Duration, Instant},
};

use chrono::Utc;

use crate::runtime::entry::{Entry, Level, LogLine, printable};

/// Prints a line.
pub fn say(line: impl Display) {
    println!("{line}");
}

/// Prints a warning, or what went wrong.
pub fn warn(line: impl Display) {
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
    pub(crate) fn ready(self, begun: Instant, what: &str, detail: impl Display) {
        if self.enabled {
            say(format_args!(
                "  ready  {what:<22} {detail} ({})",
                in_words(begun.elapsed())
            ));
        }
    }

    pub(crate) fn is_shown(self) -> bool {
        self.enabled
    }

    /// Says something about the start, or the stop.
    pub(crate) fn note(self, line: impl Display) {
        if self.enabled {
            say(format_args!("  {line}"));
        }
    }
}

/// Prints what happens while the local cloud runs: requests, and the functions' errors.
#[derive(Clone, Copy)]
pub(crate) struct Console {
    enabled: bool,
}

/// A request to the HTTP API, and what came of it.
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) took: Duration,
    /// The function that answered; none when the gateway did.
    pub(crate) function: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) correlation_id: Option<&'a str>,
    /// The error's code, or what the gateway said.
    pub(crate) error: Option<&'a str>,
}

impl Console {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    pub(crate) fn request(self, answered: &Answered<'_>) {
        if self.enabled {
            say(format_args!("{} {answered}", Utc::now().format("%H:%M:%S%.3f")));
        }
    }

    /// Says what a function wrote if it is an error.
    pub(crate) fn log(self, line: &LogLine) {
        if self.enabled {
            let entry = Entry::read(line);
            if entry.level == Level::Error {
                say(entry);
            }
        }
    }
}

impl Display for Answered<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let milliseconds = self.took.as_millis();
        write!(
            formatter,
            "{} {:<6} {}  {milliseconds} ms  {}",
            self.status,
            self.method,
            printable(self.path),
            self.function.unwrap_or("-")
        )?;
        if let Some(error) = self.error {
            write!(formatter, "  {}", printable(error))?;
        }
        let ids = [("request", self.request_id), ("correlation", self.correlation_id)];
        for (name, id) in ids {
            if let Some(id) = id {
                write!(formatter, "  {name} {}", printable(id))?;
            }
        }
        Ok(())
    }
}

/// A duration as people read it.
pub fn in_words(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds} ms"),
        milliseconds => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line() {
        let answered = Answered {
            method: "POST",
            path: "/trading/deposits",
            status: 422,
            took: Duration::from_millis(34),
            function: Some("deposit_funds"),
            request_id: Some("r"),
            correlation_id: Some("c"),
            error: Some("amount-above-limit"),
        };
        assert_eq!(
            answered.to_string(),
            "422 POST   /trading/deposits  34 ms  deposit_funds  amount-above-limit  request r  correlation c"
        );
        let unknown = Answered {
            status: 404,
            function: None,
            request_id: None,
            correlation_id: None,
            error: Some("Not Found"),
            ..answered
        };
        assert_eq!(
            unknown.to_string(),
            "404 POST   /trading/deposits  34 ms  -  Not Found"
        );
    }
}
