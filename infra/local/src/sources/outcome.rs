//! The outcome of a batch, item by item, by the function's response: Lambda's rules for partial batch responses.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::runtime::InvocationResult;

/// The items that failed, by id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failures {
    /// Every item: the function failed, or its answer can't be understood.
    All(String),
    /// These; often none.
    Some(BTreeSet<String>),
}

/// Reads the answer to a batch of items with these ids.
pub(super) fn read(result: &anyhow::Result<InvocationResult>, ids: &[String], partial: bool) -> Failures {
    match result {
        Err(error) => Failures::All(format!("{error:#}")),
        Ok(result) => match &result.function_error {
            Some(error) => Failures::All(error.clone()),
            None if partial => read_payload(&result.payload, ids),
            None => Failures::Some(BTreeSet::new()),
        },
    }
}

fn read_payload(payload: &Value, ids: &[String]) -> Failures {
    let failures = match payload {
        Value::Object(answer) => answer.get("batchItemFailures").unwrap_or(&Value::Null),
        // An empty answer is a success, as on AWS.
        Value::Null => &Value::Null,
        Value::String(text) if text.is_empty() => &Value::Null,
        other => return Failures::All(format!("the answer {other} isn't a batch response")),
    };
    let failures = match failures {
        Value::Null => return Failures::Some(BTreeSet::new()),
        Value::Array(failures) => failures,
        other => return Failures::All(format!("batchItemFailures is {other}, not a list")),
    };
    let mut failed = BTreeSet::new();
    for failure in failures {
        match failure.get("itemIdentifier").and_then(identifier) {
            Some(id) if ids.contains(&id) => failed.insert(id),
            _ => return Failures::All(format!("{failure} names no item of the batch")),
        };
    }
    Failures::Some(failed)
}

/// The id of a message or record of a stream; of a record of a topic, its partition and offset.
fn identifier(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.clone()),
        Value::Object(id) => {
            let (partition, offset) = (id.get("partition")?.as_str()?, id.get("offset")?.as_i64()?);
            Some(record_of_topic(partition, offset))
        }
        _ => None,
    }
}

/// The id of a record by its partition (`TOPIC-NUMBER`) and offset.
pub(super) fn record_of_topic(partition: &str, offset: i64) -> String {
    format!("{partition}@{offset}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn answered(payload: Value, function_error: Option<&str>) -> anyhow::Result<InvocationResult> {
        Ok(InvocationResult {
            request_id: "request".to_owned(),
            payload,
            function_error: function_error.map(str::to_owned),
            cold: false,
            duration: Duration::ZERO,
            memory_kib: None,
        })
    }

    fn ids() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    #[test]
    fn only_the_named_items_fail() {
        let answer = answered(json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] }), None);
        assert_eq!(
            read(&answer, &ids(), true),
            Failures::Some(BTreeSet::from(["b".to_owned()]))
        );
    }

    #[test]
    fn records_of_topics_are_named_by_partition_and_offset() {
        let ids = [record_of_topic("orders-0", 7), record_of_topic("orders-0", 8)];
        let failure = json!({ "itemIdentifier": { "partition": "orders-0", "offset": 8 } });
        let answer = answered(json!({ "batchItemFailures": [failure] }), None);
        assert_eq!(
            read(&answer, &ids, true),
            Failures::Some(BTreeSet::from([ids[1].clone()]))
        );
    }

    #[test]
    fn an_empty_answer_is_a_success() {
        for payload in [
            json!(null),
            json!(""),
            json!({}),
            json!({ "batchItemFailures": null }),
            json!({ "batchItemFailures": [] }),
        ] {
            assert_eq!(
                read(&answered(payload, None), &ids(), true),
                Failures::Some(BTreeSet::new())
            );
        }
    }

    #[test]
    fn an_answer_that_names_nothing_of_the_batch_fails_all_of_it() {
        let unknown =
            |id: Value| json!({ "batchItemFailures": [{ "itemIdentifier": "a" }, { "itemIdentifier": id }] });
        for payload in [
            unknown(json!("")),
            unknown(json!("c")),
            unknown(json!(null)),
            json!({ "batchItemFailures": 1 }),
            json!([]),
        ] {
            assert!(matches!(
                read(&answered(payload, None), &ids(), true),
                Failures::All(_)
            ));
        }
    }

    #[test]
    fn a_function_error_fails_all_of_it_and_without_partial_responses_the_answer_means_nothing() {
        let named = json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] });
        assert!(matches!(
            read(&answered(named.clone(), Some("crash")), &ids(), true),
            Failures::All(_)
        ));
        assert!(matches!(
            read(&Err(anyhow::anyhow!("stopped")), &ids(), true),
            Failures::All(_)
        ));
        assert_eq!(
            read(&answered(named, None), &ids(), false),
            Failures::Some(BTreeSet::new())
        );
    }
}
