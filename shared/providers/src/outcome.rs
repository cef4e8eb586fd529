//! The outcomes of calls to outside parties.

use std::fmt;

use domain::lane::{Class, Laned};

/// The response to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was done; this is the response.
    Done(T),
    /// The party itself refused it, in its own form, and nothing speaks for it having been done all the same.
    Declined(Decline),
    /// It was certainly not done and can be tried again.
    Retryable(Reason),
    /// It may have been done: the response was lost or can't be read.
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
    /// The field of our request that it is about, where the party names one.
    pub field: Option<String>,
    /// It refuses what the customer pays with; anything else it refuses is ours.
    pub is_customers: bool,
}

impl Decline {
    /// A refusal of ours: of a request that should have been accepted.
    pub fn new(code: impl Into<String>, message: impl Into<String>, status: u16) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status,
            field: None,
            is_customers: false,
        }
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(pub String);

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<T> Outcome<T> {
    /// The same outcome with another kind of response. A response that can't be read leaves the outcome unknown.
    pub fn read<U>(self, read: impl FnOnce(T) -> Result<U, String>) -> Outcome<U> {
        match self {
            Outcome::Done(response) => match read(response) {
                Ok(response) => Outcome::Done(response),
                Err(reason) => Outcome::Unknown(Reason(format!("the response can't be read: {reason}"))),
            },
            Outcome::Declined(decline) => Outcome::Declined(decline),
            Outcome::Retryable(reason) => Outcome::Retryable(reason),
            Outcome::Unknown(reason) => Outcome::Unknown(reason),
        }
    }
}

/// Why a call failed whose response is needed to go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The party gives no response at the moment.
    #[error("{party} is not available: {reason}")]
    Unavailable {
        /// Who.
        party: &'static str,
        /// Why, for the logs.
        reason: String,
    },
    /// The party refuses what it should accept.
    #[error("{party} refused with code {code} (status {status})")]
    Refused {
        /// Who.
        party: &'static str,
        /// Its code.
        code: String,
        /// Its HTTP status.
        status: u16,
    },
}

impl ProviderError {
    /// No response, for this reason.
    pub fn unavailable(party: &'static str, reason: &impl ToString) -> Self {
        Self::Unavailable {
            party,
            reason: reason.to_string(),
        }
    }

    /// A refusal of what should have been accepted.
    pub fn refused(party: &'static str, decline: Decline) -> Self {
        Self::Refused {
            party,
            code: decline.code,
            status: decline.status,
        }
    }
}

impl Laned for ProviderError {
    fn class(&self) -> Class<'_> {
        match self {
            Self::Unavailable { .. } => Class::transient("unavailable"),
            Self::Refused { .. } => Class::fatal("refused-by-provider"),
        }
    }
}

impl<T> Outcome<T> {
    /// The response, where anything else is a failure.
    ///
    /// # Errors
    /// Fatal when `party` refused, transient when there is no response.
    pub fn done(self, party: &'static str) -> Result<T, ProviderError> {
        match self {
            Outcome::Done(response) => Ok(response),
            Outcome::Declined(decline) => Err(ProviderError::refused(party, decline)),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                Err(ProviderError::unavailable(party, &reason))
            }
        }
    }
}
