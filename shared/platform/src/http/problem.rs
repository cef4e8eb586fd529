//! Errors as people and programs meet them: `application/problem+json` (RFC 9457).

use domain::lane::{Lane, Laned, Rejection};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::chain;

/// An error answer. `code` is stable and meant for programs, `detail` is meant for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Stable code of the problem, for programs.
    pub code: String,
    /// What happened and what can be done.
    pub detail: String,
    /// The fields that are wrong, where the problem lies in some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Path of the field in the body, name of the query parameter, or name of the header.
    pub field: String,
    /// What is wrong and which values are allowed.
    pub message: String,
}

impl Problem {
    /// A problem of the given status and code.
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:moneta:problem:{code}"),
            title: title(status),
            status,
            code: code.to_owned(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// The same problem, naming a field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldProblem {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// 400: a field of the request that can't be read.
    pub fn malformed(field: &str, message: &str) -> Self {
        Self::new(400, "malformed-request", format!("{field}: {message}")).at(field, message)
    }

    /// 500: something of ours broke; the logs have the rest.
    pub fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "Something went wrong on our side. It has been reported; please try again later.",
        )
    }

    /// 503: the deadline passed before there was an answer to a request, which came with an `Idempotency-Key` or not.
    pub fn timed_out(has_key: bool) -> Self {
        let detail = if has_key {
            "This took too long. Repeat the request with the same Idempotency-Key."
        } else {
            "This took too long. Please repeat the request."
        };
        Self::new(503, "timed-out", detail)
    }

    /// The answer to an error, by its lane alone. Internals are logged, not shown.
    pub fn of<E: Laned>(error: &E) -> Self {
        let class = error.class();
        let shown = |status| {
            let problem = Self::new(status, class.code, sentence(&error.to_string()));
            match class.field {
                Some(field) => problem.at(field, error.to_string()),
                None => problem,
            }
        };
        match class.lane {
            Lane::Rejected(rejection) => shown(rejected(rejection)),
            Lane::Denied => shown(403),
            Lane::Transient => {
                tracing::warn!(
                    error = chain(error),
                    code = class.code,
                    "handling the request failed; it may work later"
                );
                Self::new(
                    503,
                    "unavailable",
                    "This can't be done at the moment. Please try again shortly.",
                )
            }
            Lane::Fatal => {
                tracing::error!(
                    error = chain(error),
                    code = class.code,
                    "handling the request failed"
                );
                Self::internal()
            }
        }
    }
}

impl<E: Laned> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

fn rejected(rejection: Rejection) -> u16 {
    match rejection {
        Rejection::Malformed => 400,
        Rejection::PaymentRequired => 402,
        Rejection::NotFound => 404,
        Rejection::Conflict => 409,
        Rejection::TooLarge => 413,
        Rejection::Unprocessable => 422,
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        402 => "Payment required",
        403 => "Forbidden",
        404 => "Not found",
        409 => "Conflict",
        413 => "Content too large",
        415 => "Unsupported media type",
        422 => "Unprocessable content",
        503 => "Service unavailable",
        _ => "Internal server error",
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use domain::lane::Class;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the wallet holds 12.50 USD")]
    struct Refused(Lane);

    impl Laned for Refused {
        fn class(&self) -> Class<'_> {
            let class = Class {
                lane: self.0,
                ..Class::fatal("refused")
            };
            class.at("amount")
        }
    }

    #[test]
    fn a_rejection_has_a_status_and_a_title_of_its_own() {
        for (rejection, status, title) in [
            (Rejection::Malformed, 400, "Bad request"),
            (Rejection::PaymentRequired, 402, "Payment required"),
            (Rejection::NotFound, 404, "Not found"),
            (Rejection::Conflict, 409, "Conflict"),
            (Rejection::TooLarge, 413, "Content too large"),
            (Rejection::Unprocessable, 422, "Unprocessable content"),
        ] {
            let problem = Problem::of(&Refused(Lane::Rejected(rejection)));
            assert_eq!((problem.status, problem.title), (status, title), "{rejection:?}");
            assert_eq!(problem.detail, "The wallet holds 12.50 USD");
            assert_eq!(problem.errors[0].field, "amount");
        }
    }

    #[test]
    fn what_is_not_the_callers_fault_shows_no_internals() {
        for (lane, status) in [(Lane::Transient, 503), (Lane::Fatal, 500)] {
            let problem = Problem::of(&Refused(lane));
            assert_eq!(problem.status, status);
            assert!(
                !problem.detail.contains("12.50") && problem.errors.is_empty(),
                "{problem:?}"
            );
        }
    }
}
