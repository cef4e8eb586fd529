//! What is kept of another party's document: the parts that are named, and nothing else. A document may hold secrets and
//! personal data, and a new one may come with any release of the other side.

use std::collections::BTreeMap;

use domain::storable::storable;
use serde_json::value::{RawValue, to_raw_value};

/// The document with these parts alone: `status`, or `error.code` for a part of an object in it. Numbers keep their digits. A
/// part that isn't there is left out; a document that is no object has none. What PostgreSQL doesn't take is replaced.
pub(crate) fn kept(document: &str, parts: &[&str]) -> Box<RawValue> {
    let kept = object(document, parts).unwrap_or_else(|| RawValue::NULL.to_owned());
    storable(&kept).into_owned()
}

fn object(document: &str, parts: &[&str]) -> Option<Box<RawValue>> {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(document).ok()?;
    let kept: BTreeMap<String, Box<RawValue>> = fields
        .into_iter()
        .filter_map(|(name, value)| {
            let value = part(&name, value, parts)?;
            Some((name, value))
        })
        .collect();
    to_raw_value(&kept).ok()
}

fn part(name: &str, value: Box<RawValue>, parts: &[&str]) -> Option<Box<RawValue>> {
    if parts.contains(&name) {
        return Some(value);
    }
    let inner: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.strip_prefix(name)?.strip_prefix('.'))
        .collect();
    if inner.is_empty() {
        return None;
    }
    object(value.get(), &inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_parts_are_kept_and_nothing_else() {
        let document = r#"{"id":"pi_1","amount":1.10,"client_secret":"s",
            "error":{"code":"c","payment_method":{"billing_details":{"name":"Ada"}}},"charges":{"data":[1]}}"#;
        let parts = ["id", "amount", "error.code", "missing", "charges.total"];
        assert_eq!(
            kept(document, &parts).get(),
            r#"{"amount":1.10,"charges":{},"error":{"code":"c"},"id":"pi_1"}"#
        );
    }

    #[test]
    fn document_that_is_no_object_has_no_parts() {
        for other in ["[1]", "\"x\"", "null", "1", "not json"] {
            assert_eq!(kept(other, &["id"]).get(), "null", "{other}");
        }
        assert_eq!(kept(r#"{"error":null}"#, &["error.code"]).get(), "{}");
    }
}
