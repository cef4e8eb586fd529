//! What came of a call to an outside party.

use std::fmt;

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was done; this is the answer.
    Done(T),
    /// The party itself refused it, in its own form, and nothing speaks for it having been done all the same.
    Declined(Decline),
    /// It was certainly not done and can be tried again.
    Retryable(Reason),
    /// It may have been done: the answer was lost or made no sense.
    Unknown(Reason),
}

/// A refusal, as the party worded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// The party's own code of the refusal.
    pub code: String,
    /// The party's message; for logs and support, not for users.
    pub message: String,
    /// HTTP status.
    pub status: u16,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(pub String);

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<T> Outcome<T> {
    /// The same outcome with another kind of answer. An answer that can't be read leaves the outcome unknown.
    pub fn read<U>(self, read: impl FnOnce(T) -> Result<U, String>) -> Outcome<U> {
        match self {
            Outcome::Done(answer) => match read(answer) {
                Ok(answer) => Outcome::Done(answer),
                Err(reason) => Outcome::Unknown(Reason(format!("the answer can't be read: {reason}"))),
            },
            Outcome::Declined(decline) => Outcome::Declined(decline),
            Outcome::Retryable(reason) => Outcome::Retryable(reason),
            Outcome::Unknown(reason) => Outcome::Unknown(reason),
        }
    }
}
