//! The event patterns of `FilterCriteria`: which records a function is given at all.

use serde_json::Value;

/// Whether a record matches one of the patterns; without patterns every record does.
pub(super) fn matches(patterns: &[Value], record: &Value) -> bool {
    patterns.is_empty()
        || patterns
            .iter()
            .any(|pattern| matches_pattern(pattern, Some(record)))
}

fn matches_pattern(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::Object(properties) => properties
            .iter()
            .all(|(name, pattern)| matches_pattern(pattern, value.and_then(|value| value.get(name)))),
        Value::Array(choices) => choices.iter().any(|choice| matches_choice(choice, value)),
        other => value == Some(other),
    }
}

fn matches_choice(choice: &Value, value: Option<&Value>) -> bool {
    let Value::Object(operator) = choice else {
        return match value {
            Some(Value::Array(values)) => values.contains(choice),
            Some(value) => value == choice,
            None => false,
        };
    };
    operator
        .iter()
        .all(|(name, argument)| matches_operator(name, argument, value))
}

fn matches_operator(name: &str, argument: &Value, value: Option<&Value>) -> bool {
    let texts = || Some((argument.as_str()?, value?.as_str()?));
    match name {
        "exists" => argument.as_bool() == Some(value.is_some()),
        "prefix" => texts().is_some_and(|(prefix, text)| text.starts_with(prefix)),
        "suffix" => texts().is_some_and(|(suffix, text)| text.ends_with(suffix)),
        "equals-ignore-case" => texts().is_some_and(|(wanted, text)| text.eq_ignore_ascii_case(wanted)),
        "anything-but" => value.is_some_and(|value| match argument {
            Value::Array(excluded) => !excluded.contains(value),
            excluded => excluded != value,
        }),
        // The rest (numeric comparisons) no function uses; better too many records than too few.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_chooses_records() {
        let record =
            json!({ "eventName": "INSERT", "dynamodb": { "NewImage": { "sk": { "S": "note#1" } } } });
        assert!(matches(&[], &record));
        assert!(matches(&[json!({ "eventName": ["INSERT", "MODIFY"] })], &record));
        assert!(!matches(&[json!({ "eventName": ["REMOVE"] })], &record));
        let prefix =
            |prefix: &str| json!({ "dynamodb": { "NewImage": { "sk": { "S": [{ "prefix": prefix }] } } } });
        assert!(matches(
            &[json!({ "eventName": ["REMOVE"] }), prefix("note#")],
            &record
        ));
        assert!(!matches(&[prefix("badge#")], &record));
        assert!(matches(
            &[json!({ "dynamodb": { "OldImage": [{ "exists": false }] } })],
            &record
        ));
        assert!(!matches(
            &[json!({ "eventName": [{ "anything-but": ["INSERT"] }] })],
            &record
        ));
    }
}
