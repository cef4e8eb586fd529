//! A decision, on its way from the operator to the area.

use chrono::{DateTime, Utc};
use domain::ids::ReviewId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an operator has decided, on its way to the area.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The review.
    pub review_id: ReviewId,
    /// Its number among the review's decisions.
    pub number: i32,
    /// The kind of the review.
    pub kind: String,
    /// What the review is about.
    pub subject: String,
    /// One of the review's actions.
    pub action: String,
    /// The action's parameters.
    pub parameters: Map<String, Value>,
    /// Why.
    pub reason: String,
    /// The operator.
    pub decided_by: String,
    /// When.
    pub decided_at: DateTime<Utc>,
}

impl Decision {
    /// A parameter; nothing when it is missing or isn't a `T`.
    pub fn parameter<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.parameters.get(name)?;
        serde_json::from_value(value.clone()).ok()
    }

    /// What the review is about, where the area names it by a word and an id: `charge-17`.
    pub fn subject_id<T: TryFrom<i64>>(&self, word: &str) -> Option<T> {
        let id = self.subject.strip_prefix(word)?.strip_prefix('-')?;
        T::try_from(id.parse().ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::ChargeId;
    use serde_json::json;

    use super::*;

    fn decision(subject: &str, parameters: Value) -> Decision {
        serde_json::from_value(json!({
            "review_id": 1, "number": 1, "kind": "k", "subject": subject, "action": "a", "parameters": parameters,
            "reason": "r", "decided_by": "o", "decided_at": "2026-11-28T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn subject_of_a_decision_is_read_as_the_area_wrote_it() {
        let of = |subject: &str| decision(subject, json!({})).subject_id::<ChargeId>("charge");
        assert_eq!(of("charge-17").map(|id| id.get()), Some(17));
        for other in ["charge-", "charge-0", "invoice-17", "charge17", "charge-17-1"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn parameter_of_another_type_is_none() {
        let decision = decision("charge-1", json!({"payment": "pi_1", "amount_cents": 5}));
        assert_eq!(decision.parameter::<String>("payment").as_deref(), Some("pi_1"));
        assert_eq!(decision.parameter::<i64>("amount_cents"), Some(5));
        assert_eq!(decision.parameter::<i64>("payment"), None);
        assert_eq!(decision.parameter::<i64>("missing"), None);
    }
}
