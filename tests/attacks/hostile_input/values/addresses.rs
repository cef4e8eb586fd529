//! Values in paths and queries.

use end_to_end::Result;
use serde_json::Value;

use super::texts::{NO_TIMES, NO_WORDS};

/// Values of a query's parameter that it doesn't take, as they stand in the query.
///
/// # Errors
/// When nobody has thought of this kind of parameter yet.
pub(crate) fn of_query(name: &str, schema: &Value) -> Result<Vec<String>> {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let encoded = |values: &[&str]| {
        values
            .iter()
            .map(|value| percent_encoded(value))
            .collect::<Vec<_>>()
    };
    let numbers = [
        "0",
        "-1",
        "many",
        "",
        "1.5",
        "1e1",
        "%31%20",
        "0x10",
        "99999999999999999999",
        "%ff",
        "null",
        "1,2",
    ];
    Ok(match (name, schema["type"].as_str()) {
        ("limit", _) => {
            let largest = schema["maximum"].as_i64().unwrap_or_default();
            let mut values = owned(&numbers);
            values.push((largest + 1).to_string());
            values
        }
        (_, Some("integer")) => owned(&numbers),
        (_, Some("boolean")) => owned(&["yes", "", "1", "TRUE", "null", "%00"]),
        ("cursor", _) => owned(&[
            "garbage",
            "",
            "%00",
            "%ff",
            "null",
            "0",
            "-1",
            "'%20OR%201%3D1%20--",
            "../../etc/passwd",
        ]),
        _ if schema["format"] == "date-time" => encoded(NO_TIMES),
        // Lower-case words fit there.
        ("area" | "kind", _) => {
            let wrong = NO_WORDS.iter().filter(|word| !["usd", "pending"].contains(word));
            encoded(&wrong.copied().collect::<Vec<_>>())
        }
        _ if schema["pattern"].is_string() || schema["enum"].is_array() => {
            let wrong = NO_WORDS.iter().filter(|word| **word != "pending");
            encoded(&wrong.copied().collect::<Vec<_>>())
        }
        (name, kind) => anyhow::bail!("{name} of {kind:?} needs hostile values here"),
    })
}

/// Values of a part of a path under which there is nothing, as they stand in the path.
///
/// # Errors
/// When nobody has thought of this kind of part yet.
pub(crate) fn of_path(name: &str, schema: &Value) -> Result<Vec<String>> {
    let mut values: Vec<String> = [
        "%00",
        "%ff",
        "null",
        "%27%20OR%201%3D1%20--",
        "a%2Fb",
        "%EF%BC%91",
        "%20",
    ]
    .map(str::to_owned)
    .into();
    values.push("x".repeat(3_000));
    let more: &[&str] = match schema["type"].as_str() {
        Some("integer") => &[
            "0",
            "-1",
            "+1",
            "01",
            "1.0",
            "1e3",
            "0x1",
            "1%20",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551617",
        ],
        Some("string") if schema["format"] == "uuid" => &[
            "0",
            "00000000-0000-0000-0000-000000000000",
            "01a1f95d-46ff-75c1-9a2b-3c4d5e6f708",
            "01a1f95d-46ff-75c1-9a2b-3c4d5e6f708g",
        ],
        // Lower-case words fit there.
        Some("string") if name == "tier_id" => {
            values.retain(|value| value != "null");
            &["Usd", "a_b", "a.b", "tier%20"]
        }
        Some("string") if schema["pattern"].is_string() || schema["enum"].is_array() => {
            &["usd", "US", "USDD", "XXX", "840", "USD%20"]
        }
        kind => anyhow::bail!("{name} of {kind:?} needs hostile values here"),
    };
    values.extend(more.iter().map(|value| (*value).to_owned()));
    Ok(values)
}

/// A value that a query's parameter takes.
pub(crate) fn good_in_query(schema: &Value) -> &str {
    let words = schema["pattern"].as_str().unwrap_or_default();
    match schema["type"].as_str() {
        Some("integer") => "1",
        _ if schema["format"] == "date-time" => "2026-01-01T00:00:00Z",
        _ if words == "^[A-Z]{3}$" => "USD",
        _ if takes(schema, "USD") => "USD",
        _ if words.contains('|') => words
            .trim_start_matches("^(")
            .split('|')
            .next()
            .unwrap_or_default(),
        _ => "true",
    }
}

fn takes(schema: &Value, word: &str) -> bool {
    schema["enum"]
        .as_array()
        .is_some_and(|words| words.iter().any(|one| one == word))
}

/// The text as it stands in a query; escapes of JSON stand for what they mean.
fn percent_encoded(text: &str) -> String {
    let text = text.replace("\\u0000", "\0").replace("\\u202e", "\u{202e}");
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}
