//! What an error means for whoever waits for the answer.
//!
//! Every error of the house has a [`Lane`], and the lane alone decides which HTTP status a caller gets and whether
//! repeating the request can help. No one who handles an error has to know which one it was. A queue gives a failed
//! item again whatever its lane, and sets it aside in its dead-letter queue after the last time; there the lane decides
//! how loudly it is logged.

use std::error::Error;

/// Whose turn it is after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The caller's fault: the same request will fail again (an answer of the 400s).
    Rejected(Rejection),
    /// The caller isn't allowed to (403). What merely belongs to someone else isn't denied but [`Rejection::NotFound`], so that nobody learns that it exists.
    Denied,
    /// It may work later without anybody's doing: a timeout, a lost connection, a conflict of two
    /// transactions (503 with `Retry-After`).
    Transient,
    /// Our fault: a bug, broken data, a wrong configuration (500, without details). Trying again changes
    /// nothing.
    Fatal,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// It can't be read: not JSON, an unknown field, a wrong type (400).
    Malformed,
    /// There isn't enough money for it (402).
    PaymentRequired,
    /// What it asks for doesn't exist, or belongs to someone else (404).
    NotFound,
    /// It doesn't go with the state that things are in, or with an earlier request of the same key (409).
    Conflict,
    /// It is larger than the limit (413).
    TooLarge,
    /// It is well formed, but what it asks for isn't possible: a value out of range (422).
    Unprocessable,
}

impl Lane {
    /// Whether the very same input may succeed when it is tried again.
    pub const fn retries(&self) -> bool {
        matches!(self, Lane::Transient)
    }
}

/// An error that knows its lane.
pub trait Laned: Error {
    /// Whose turn it is.
    fn lane(&self) -> Lane;

    /// The reason as a stable code in kebab-case, part of the contract with callers.
    fn code(&self) -> &'static str;

    /// The field of the request that is wrong, as the caller wrote it (`amount_cents`, `items[2].symbol`), if
    /// it is about one.
    fn field(&self) -> Option<&str> {
        None
    }
}

impl<E: Laned> Laned for Box<E> {
    fn lane(&self) -> Lane {
        (**self).lane()
    }

    fn code(&self) -> &'static str {
        (**self).code()
    }

    fn field(&self) -> Option<&str> {
        (**self).field()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the amount is too large")]
    struct TooMuch;

    impl Laned for TooMuch {
        fn lane(&self) -> Lane {
            Lane::Rejected(Rejection::Unprocessable)
        }

        fn code(&self) -> &'static str {
            "amount-too-large"
        }

        fn field(&self) -> Option<&str> {
            Some("amount_cents")
        }
    }

    #[test]
    fn only_the_transient_is_tried_again() {
        assert!(Lane::Transient.retries());
        for lane in [
            Lane::Rejected(Rejection::Conflict),
            Lane::Rejected(Rejection::PaymentRequired),
            Lane::Denied,
            Lane::Fatal,
        ] {
            assert!(!lane.retries(), "{lane:?}");
        }
    }

    #[test]
    fn can_be_a_trait_object_and_boxed() {
        let error: Box<dyn Laned> = Box::new(Box::new(TooMuch));
        assert_eq!(error.lane(), Lane::Rejected(Rejection::Unprocessable));
        assert_eq!(
            (error.code(), error.field()),
            ("amount-too-large", Some("amount_cents"))
        );
    }
}
