//! A consumer that behaves as its messages say, to see from outside what the platform's entry point for queues makes
//! of it. What it does it writes, line by line, into the file that `JOURNAL` names.

use std::io::Write as _;
use std::process::ExitCode;

use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};
use platform::error::PlatformError;
use platform::from_environment;
use serde::Deserialize;

/// What to do with this message.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Behaviour {
    /// Succeeds.
    Succeed,
    /// Fails every time.
    Fail,
    /// Fails the first time.
    FailOnce,
    /// Panics.
    Panic,
    /// Never ends the first time.
    HangOnce,
}

/// A message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    behaviour: Behaviour,
    name: String,
}

struct Probe {
    journal: String,
}

impl Probe {
    fn note(&self, line: &str) -> std::io::Result<()> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.journal);
        // One write, so that the lines of several processes don't mix.
        file?.write_all(format!("{line}\n").as_bytes())
    }

    fn has(&self, line: &str) -> bool {
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        journal.lines().any(|noted| noted == line)
    }
}

from_environment!(Probe {
    journal: |environment: &mut Environment| environment.required("JOURNAL"),
});

struct ProbeConsumer;

impl QueueConsumer for ProbeConsumer {
    type UseCase = Probe;
    type Message = Message;
    type Error = PlatformError;

    #[expect(clippy::panic, reason = "a panic is what some messages ask for")]
    async fn handle(probe: &Probe, message: Message, _: Deadline) -> Result<(), PlatformError> {
        let Message { behaviour, name } = message;
        let begun = format!("{name} begun");
        let is_first = !probe.has(&begun);
        let noted = |line: &str| {
            probe
                .note(line)
                .map_err(|error| PlatformError::Queue(error.to_string()))
        };
        noted(&begun)?;
        match behaviour {
            Behaviour::Panic => panic!("as the message asks for"),
            Behaviour::HangOnce if is_first => std::future::pending().await,
            Behaviour::FailOnce if is_first => Err(PlatformError::InFlight),
            Behaviour::Fail => Err(PlatformError::InFlight),
            Behaviour::Succeed | Behaviour::FailOnce | Behaviour::HangOnce => noted(&format!("{name} done")),
        }
    }
}

fn main() -> ExitCode {
    queue::serve::<ProbeConsumer>()
}
