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

/// All that others have to know of an error: one value for each variant, so that a new variant is one edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Class<'a> {
    /// Whose turn it is.
    pub lane: Lane,
    /// The reason as a stable code in kebab-case, part of the contract with callers.
    pub code: &'static str,
    /// The field of the request that is wrong, as the caller wrote it (`amount_cents`, `items[2].symbol`), if it is about
    /// one.
    pub field: Option<&'a str>,
}

impl<'a> Class<'a> {
    /// The caller's fault.
    pub const fn rejected(rejection: Rejection, code: &'static str) -> Class<'a> {
        Class::new(Lane::Rejected(rejection), code)
    }

    /// The caller may not.
    pub const fn denied(code: &'static str) -> Class<'a> {
        Class::new(Lane::Denied, code)
    }

    /// It may work later.
    pub const fn transient(code: &'static str) -> Class<'a> {
        Class::new(Lane::Transient, code)
    }

    /// Our fault.
    pub const fn fatal(code: &'static str) -> Class<'a> {
        Class::new(Lane::Fatal, code)
    }

    /// The same, about a field.
    pub const fn at(self, field: &'a str) -> Class<'a> {
        Class {
            lane: self.lane,
            code: self.code,
            field: Some(field),
        }
    }

    const fn new(lane: Lane, code: &'static str) -> Class<'a> {
        Class {
            lane,
            code,
            field: None,
        }
    }
}

/// An error that knows its lane. The four lanes, and the word, are those of Galoy's crate `errlanes`.
pub trait Laned: Error {
    /// Lane, code and field.
    fn class(&self) -> Class<'_>;

    /// Whose turn it is.
    fn lane(&self) -> Lane {
        self.class().lane
    }

    /// The reason as a stable code.
    fn code(&self) -> &'static str {
        self.class().code
    }

    /// The field of the request that is wrong, if it is about one.
    fn field(&self) -> Option<&str> {
        self.class().field
    }
}

impl<E: Laned> Laned for Box<E> {
    fn class(&self) -> Class<'_> {
        (**self).class()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the amount is too large")]
    struct TooMuch;

    impl Laned for TooMuch {
        fn class(&self) -> Class<'_> {
            Class::rejected(Rejection::Unprocessable, "amount-too-large").at("amount_cents")
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
