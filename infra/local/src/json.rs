//! Small things about JSON documents.

use serde_json::Value;

/// Sets a property of an object.
pub(crate) fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(properties) = object {
        properties.insert(name.to_owned(), value);
    }
}
