//! What the probes do, functions of the tests' own: each message or record says how its consumer behaves, to see from
//! outside what the platform's entry points and the local cloud make of it. What a probe does it writes, line by line,
//! into the file that `JOURNAL` names.

use std::io::Write as _;

use platform::config::Environment;
use platform::error::PlatformError;
use platform::from_environment;
use serde::Deserialize;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Succeeds.
    Succeed,
    /// Fails every time, and may not the next time.
    Fail,
    /// Fails the first time.
    FailOnce,
    /// Is refused for good the first time; whoever brings it back has mended what was wrong.
    RefuseOnce,
    /// Panics.
    Panic,
    /// Never ends the first time.
    HangOnce,
}

/// A message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// What to do with it.
    pub behaviour: Behaviour,
    /// What the journal calls it.
    pub name: String,
}

/// Behaves as messages say, and keeps the journal.
#[derive(Debug)]
pub struct Probe {
    journal: String,
    /// Stands before each name in the journal, where several probes read the same.
    prefix: String,
}

from_environment!(Probe {
    journal: |environment: &mut Environment| environment.required("JOURNAL"),
    prefix: |environment: &mut Environment| Some(environment.optional("PREFIX").unwrap_or_default()),
});

impl Probe {
    fn note(&self, line: &str) -> Result<(), PlatformError> {
        let write = || {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.journal);
            // One write, so that the lines of several processes don't mix.
            file?.write_all(format!("{line}\n").as_bytes())
        };
        write().map_err(|error: std::io::Error| PlatformError::Queue(error.to_string()))
    }

    fn has(&self, line: &str) -> bool {
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        journal.lines().any(|noted| noted == line)
    }

    /// Notes that the message is begun, behaves as it says, and notes that it is done.
    ///
    /// # Errors
    /// When the message asks for it.
    ///
    /// # Panics
    /// When the message asks for it.
    #[expect(clippy::panic, reason = "a panic is what some messages ask for")]
    pub async fn handle(&self, message: Message) -> Result<(), PlatformError> {
        let Message { behaviour, name } = message;
        let name = format!("{}{name}", self.prefix);
        let begun = format!("{name} begun");
        let is_first = !self.has(&begun);
        self.note(&begun)?;
        match behaviour {
            Behaviour::Panic => panic!("as the message asks for"),
            Behaviour::HangOnce if is_first => std::future::pending().await,
            Behaviour::FailOnce if is_first => Err(unavailable()),
            Behaviour::RefuseOnce if is_first => Err(PlatformError::Stored("message")),
            Behaviour::Fail => Err(unavailable()),
            Behaviour::Succeed | Behaviour::FailOnce | Behaviour::RefuseOnce | Behaviour::HangOnce => {
                self.note(&format!("{name} done"))
            }
        }
    }
}

fn unavailable() -> PlatformError {
    PlatformError::Queue("as the message asks for".to_owned())
}
