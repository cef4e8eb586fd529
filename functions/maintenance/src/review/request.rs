//! What operators send.

use domain::review::ReviewState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Error;

/// Characters of a reason.
const MAX_REASON_LENGTH: usize = 500;
/// Characters of a parameter.
const MAX_PARAMETER_LENGTH: usize = 200;

/// Longest name of an area or a kind, in bytes.
const MAX_WORD_LENGTH: usize = 100;

/// The name of an area or of a kind of review: lower-case words with dashes between.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Word(String);

/// Not the name of an area or a kind.
#[derive(Debug, thiserror::Error)]
#[error(
    "not the name of an area or a kind of review: lower-case words with dashes between, as reviews show them"
)]
pub struct InvalidWord;

impl Word {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Word {
    type Error = InvalidWord;

    fn try_from(text: String) -> Result<Self, InvalidWord> {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let fits = text.len() <= MAX_WORD_LENGTH && text.split('-').all(is_word);
        fits.then_some(Self(text)).ok_or(InvalidWord)
    }
}

/// Which reviews are listed.
#[derive(Debug, Clone, Default)]
pub struct ReviewFilter {
    /// Those of one area.
    pub area: Option<Word>,
    /// Those of one kind.
    pub kind: Option<Word>,
    /// Those in one state.
    pub state: Option<ReviewState>,
}

/// A decision on a review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// One of the review's actions.
    #[schema(min_length = 1, max_length = 100, examples("void-invoice"))]
    pub action: String,
    /// Why: 1 to 500 characters, kept for good.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    /// The action's parameters, each a text or a whole number.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
}

impl DecisionRequest {
    /// The same with its reason trimmed.
    ///
    /// # Errors
    /// Unprocessable, naming what is wrong.
    pub(super) fn checked(self) -> Result<Self, Error> {
        let invalid = |field: &str, message: &str| Error::InvalidValue {
            field: field.to_owned(),
            message: message.to_owned(),
        };
        let reason = self.reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_LENGTH {
            return Err(invalid(
                "reason",
                "a reason has 1 to 500 characters: say why, for whoever reads it later",
            ));
        }
        if reason.chars().any(|character| character == '\0') {
            return Err(invalid("reason", "a reason may hold no NUL character"));
        }
        for (name, value) in &self.parameters {
            let fits = match value {
                Value::String(text) => {
                    text.chars().count() <= MAX_PARAMETER_LENGTH && !text.chars().any(char::is_control)
                }
                Value::Number(number) => number.is_i64(),
                _ => false,
            };
            if !fits {
                let shown: String = name.chars().take(50).collect();
                let message = "a parameter is a text of at most 200 characters or a whole number";
                return Err(invalid(&format!("parameters.{shown}"), message));
            }
        }
        Ok(Self { reason, ..self })
    }
}
