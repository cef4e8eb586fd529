//! What can go wrong in the platform itself, with its lane.

use domain::lane::{Class, Laned, Rejection};

/// A failure of the platform.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The caller lacks what is named here.
    #[error("this needs {0}")]
    Denied(&'static str),
    /// Another request with the same Idempotency-Key is still being worked on, or its outcome isn't known yet.
    #[error("a request with this Idempotency-Key is still being processed; ask again in a moment")]
    InFlight,
    /// The Idempotency-Key was used before for something else.
    #[error(
        "this Idempotency-Key was already used with another request body; use a new key for a new request"
    )]
    KeyReused,
    /// The database failed or can't be reached.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// DynamoDB failed or can't be reached.
    #[error("DynamoDB failed: {0}")]
    DynamoDb(String),
    /// A queue failed or can't be reached.
    #[error("the queue failed: {0}")]
    Queue(String),
    /// A secret can't be read.
    #[error("secret {name} can't be read: {reason}")]
    Secret {
        /// The variable that names the secret.
        name: String,
        /// Why, without the secret's value.
        reason: String,
    },
    /// Another function did the same at the same time; what is left is seen by looking again.
    #[error("another function was faster")]
    Overtaken,
    /// A value at rest can't be opened: another key, another place, or changed.
    #[error("a sealed value can't be opened")]
    Sealed,
    /// A document of our own can't be read or written.
    #[error("a stored document doesn't fit: {0}")]
    Document(#[from] serde_json::Error),
    /// A stored value is outside of what its type allows.
    #[error("stored {0} is not valid")]
    Stored(&'static str),
}

impl Laned for PlatformError {
    fn class(&self) -> Class<'_> {
        match self {
            Self::Denied(_) => Class::denied("denied"),
            Self::InFlight => Class::rejected(Rejection::Conflict, "request-in-flight").at("Idempotency-Key"),
            Self::KeyReused => {
                Class::rejected(Rejection::Unprocessable, "idempotency-key-reused").at("Idempotency-Key")
            }
            Self::Database(error) if is_permanent(error) => Class::fatal("unavailable"),
            Self::Database(_)
            | Self::DynamoDb(_)
            | Self::Queue(_)
            | Self::Secret { .. }
            | Self::Overtaken => Class::transient("unavailable"),
            Self::Sealed | Self::Document(_) | Self::Stored(_) => Class::fatal("internal"),
        }
    }
}

/// The error with all its causes in one line, for logs.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Errors that the same statement would meet again: a broken constraint, a missing table, a wrong type.
fn is_permanent(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => !error.code().is_some_and(|code| is_transient(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => false,
        _ => true,
    }
}

/// Whether the condition behind this SQLSTATE passes by itself.
fn is_transient(code: &str) -> bool {
    // Connection, sign-in (the next one has a new token), rollback, resources, locks, operator; a transaction that was ended
    // because it was idle for too long; and a session with what was the writer before a failover.
    ["08", "28", "40", "53", "55", "57", "25P03", "25006"]
        .iter()
        .any(|start| code.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_error_that_passes_is_transient_and_no_other() {
        for code in [
            "08006", "28P01", "28000", "40001", "53300", "55P03", "57P01", "25P03", "25006",
        ] {
            assert!(is_transient(code), "{code}");
        }
        for code in ["23505", "42P01", "22003", "25P02"] {
            assert!(!is_transient(code), "{code}");
        }
    }
}
