//! What a state machine answers when something happens to it.
//!
//! A machine is one function from a state and an event to a [`Transition`]. An event that is repeated, late
//! or from the past is [`Transition::AlreadyApplied`]: the state stays, and nobody sees an error.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// What an event makes of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Transition<S> {
    /// The state is now this one.
    Applied(S),
    /// The state has this behind it already and stays as it is.
    AlreadyApplied,
    /// The state doesn't allow it and stays as it is.
    Rejected(Refusal),
}

/// That something isn't allowed, with the reason as a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("refused: {code}")]
pub struct Refusal {
    /// Why.
    pub code: Code,
}

/// A reason that callers can rely on: snake_case, part of the contract, never reworded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Code(&'static str);

impl<S> Transition<S> {
    /// A rejection with this code.
    pub const fn rejected(code: Code) -> Transition<S> {
        Transition::Rejected(Refusal { code })
    }

    /// The new state, if there is one.
    pub fn applied(self) -> Option<S> {
        match self {
            Transition::Applied(state) => Some(state),
            Transition::AlreadyApplied | Transition::Rejected(_) => None,
        }
    }

    /// The refusal, if it is one.
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Transition::Rejected(refusal) => Some(*refusal),
            Transition::Applied(_) | Transition::AlreadyApplied => None,
        }
    }

    /// Whether the state changes.
    pub const fn is_applied(&self) -> bool {
        matches!(self, Transition::Applied(_))
    }

    /// The state after it, where `current` is the state before it.
    pub fn or_current(self, current: S) -> Result<S, Refusal> {
        match self {
            Transition::Applied(state) => Ok(state),
            Transition::AlreadyApplied => Ok(current),
            Transition::Rejected(refusal) => Err(refusal),
        }
    }

    /// The same answer with another kind of state.
    pub fn map<T>(self, next: impl FnOnce(S) -> T) -> Transition<T> {
        match self {
            Transition::Applied(state) => Transition::Applied(next(state)),
            Transition::AlreadyApplied => Transition::AlreadyApplied,
            Transition::Rejected(refusal) => Transition::Rejected(refusal),
        }
    }
}

impl Refusal {
    /// A refusal with this code.
    pub const fn new(code: Code) -> Refusal {
        Refusal { code }
    }
}

impl Code {
    /// A code, in snake_case.
    pub const fn new(code: &'static str) -> Code {
        Code(code)
    }

    /// The code as text.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Refusal {
        Refusal { code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Code = Code::new("account_closed");

    #[test]
    fn says_which_state_follows() {
        assert_eq!(Transition::Applied(2).or_current(1), Ok(2));
        assert_eq!(Transition::AlreadyApplied.or_current(1), Ok(1));
        assert_eq!(
            Transition::rejected(CLOSED).or_current(1),
            Err(Refusal::new(CLOSED))
        );
    }

    #[test]
    fn says_what_happened() {
        assert_eq!(Transition::Applied(2).map(|state| state * 2).applied(), Some(4));
        assert_eq!(
            Transition::<u8>::AlreadyApplied.map(|state| state * 2).applied(),
            None
        );
        assert!(!Transition::<u8>::AlreadyApplied.is_applied());
        assert_eq!(
            Transition::<u8>::rejected(CLOSED)
                .map(|state| state * 2)
                .refusal(),
            Some(CLOSED.into())
        );
    }

    #[test]
    fn a_code_is_its_text() {
        assert_eq!(CLOSED.as_str(), "account_closed");
        assert_eq!(Refusal::new(CLOSED).to_string(), "refused: account_closed");
        assert_eq!(serde_json::to_string(&CLOSED).unwrap(), "\"account_closed\"");
    }
}
