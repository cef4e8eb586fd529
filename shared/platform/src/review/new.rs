//! What a review is opened with.

use std::borrow::Cow;

use domain::ids::{ClientId, ProfileId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whom a review is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject {
    pub(super) profile: Option<ProfileId>,
    pub(super) client: Option<ClientId>,
    pub(super) user: Option<UserId>,
    pub(super) dealer: Option<i64>,
}

impl Subject {
    /// Nobody in particular.
    pub const NOBODY: Self = Self {
        profile: None,
        client: None,
        user: None,
        dealer: None,
    };

    /// A profile of the app.
    pub fn profile(profile: ProfileId) -> Self {
        Self {
            profile: Some(profile),
            ..Self::NOBODY
        }
    }

    /// A client with wallets.
    pub fn client(client: ClientId) -> Self {
        Self {
            client: Some(client),
            ..Self::NOBODY
        }
    }

    /// A trader of funded accounts.
    pub fn user(user: UserId) -> Self {
        Self {
            user: Some(user),
            ..Self::NOBODY
        }
    }

    /// A dealer.
    pub fn dealer(dealer: impl Into<i64>) -> Self {
        Self {
            dealer: Some(dealer.into()),
            ..Self::NOBODY
        }
    }
}

/// What an operator may decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name, kebab-case: `charge-again`.
    pub action: Cow<'static, str>,
    /// What it does, as an operator reads it.
    pub means: Cow<'static, str>,
    /// The parameters that it takes.
    pub parameters: Cow<'static, [Parameter]>,
}

/// A parameter of an action. Each is a text or a whole number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, snake_case.
    pub name: Cow<'static, str>,
    /// What it is.
    pub means: Cow<'static, str>,
}

impl Action {
    /// An action without parameters.
    pub const fn new(action: &'static str, means: &'static str) -> Self {
        Self::with(action, means, &[])
    }

    /// An action with parameters.
    pub const fn with(action: &'static str, means: &'static str, parameters: &'static [Parameter]) -> Self {
        Self {
            action: Cow::Borrowed(action),
            means: Cow::Borrowed(means),
            parameters: Cow::Borrowed(parameters),
        }
    }
}

impl Parameter {
    /// A parameter.
    pub const fn new(name: &'static str, means: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            means: Cow::Borrowed(means),
        }
    }
}

/// What both sides say, side by side. No secrets: it is stored and shown as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Our record.
    pub ours: Value,
    /// The other side's; null where it said nothing.
    pub theirs: Value,
}

/// Something that waits for a person.
#[derive(Debug, Clone)]
pub struct NewReview {
    /// The area that opens it and applies what is decided, as its decisions' queue names it: `commissions`.
    pub area: &'static str,
    /// The kind of the question, kebab-case: `charge-outcome-unknown`.
    pub kind: &'static str,
    /// What it is about; with area and kind unique while it waits: `charge-17`.
    pub subject: String,
    /// Whom it is about.
    pub about: Subject,
    /// One sentence for the list.
    pub summary: String,
    /// What both sides say.
    pub evidence: Evidence,
    /// What may be decided; one at least.
    pub actions: &'static [Action],
}
